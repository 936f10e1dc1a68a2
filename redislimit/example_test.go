package redislimit_test

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/redislimit"
)

// Every process of a fleet makes its App with a limiter on the same Redis.
func Example() {
	client := redis.NewClient(&redis.Options{
		Addr:                  "redis.internal:6379",
		ContextTimeoutEnabled: true, // so that a Redis that hangs holds nobody up
	})
	defer client.Close()
	limiter, err := redislimit.New(client, pinterest.AccessStandard.Limits(),
		redislimit.WithFallback(redislimit.FailOpen(0.2)), // there are four processes
		redislimit.WithOnDown(func(err error) {
			if err != nil {
				fmt.Println("paced by each process itself:", err)
			} else {
				fmt.Println("paced by Redis again")
			}
		}),
	)
	if err != nil {
		panic(err)
	}
	app, err := pinterest.NewApp(
		pinterest.WithLimiter(limiter),
		pinterest.WithTokenStore(pinterest.NewMemoryTokenStore()), // a fleet has the one of module sqlstore
		pinterest.WithOAuth(pinterest.OAuth{ClientID: "1478036", ClientSecret: "from your configuration"}),
	)
	fmt.Println(app, err)

	// Output:
	// pinterest.App(https://api.pinterest.com/v5 1478036) <nil>
}
