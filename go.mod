module github.com/pinterest-go/pinterest

go 1.26.0

require (
	github.com/cenkalti/backoff/v4 v4.3.0
	golang.org/x/oauth2 v0.36.0
)
