package pinteresttest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// RateHeaders is a form of the rate headers, x-ratelimit-limit, -remaining and
// -reset.
type RateHeaders uint8

const (
	// StructuredRateHeaders list every quota that holds for the request, after
	// the number of the one nearest to exhaustion:
	// 100, 100;w=1;name="safety_net_app_id_user_id", 1000;w=60;name="org_read_app_id_user_id".
	StructuredRateHeaders RateHeaders = iota
	// PlainRateHeaders have the leading number only, as the API once sent them.
	PlainRateHeaders
	// NoRateHeaders omits all three.
	NoRateHeaders
	// GarbledRateHeaders have meaningless values, different ones in each answer.
	GarbledRateHeaders
)

// garbledRates are values of the three headers: absurd numbers, broken
// parameters, text, and nothing.
var garbledRates = [][3]string{
	{`100, 100;w=;name="safety_net, ;;w=x`, "NaN", "soon"},
	{"-1", "-100", "-60"},
	{"99999999999999999999, 1;w=99999999999999999999", "99999999999999999999", "99999999999999999999"},
	{"", "", ""},
	{`;w=60, =, "`, "1e3", "0x10"},
	{"0, 0;w=0;name=\"\"", "0", "0"},
	{"unlimited", "99, 98", "Thu, 01 Jan 1970 00:00:00 GMT"},
}

// header sets the rate headers. As with Envoy, the limit, the remaining number and
// the reset are those of the leading policy; the structured form lists the others
// after it. number is the request's number.
func (u usage) header(h http.Header, form RateHeaders, number int) {
	if len(u.policies) == 0 {
		return
	}
	values := [3]string{strconv.Itoa(u.leading.limit), strconv.Itoa(u.remaining), strconv.FormatInt(u.reset, 10)}
	switch form {
	case StructuredRateHeaders:
		var limit strings.Builder
		limit.WriteString(values[0])
		for _, p := range u.policies {
			fmt.Fprintf(&limit, `, %d;w=%d;name="%s"`, p.limit, p.seconds, p.name)
		}
		values[0] = limit.String()
	case PlainRateHeaders:
	case NoRateHeaders:
		return
	case GarbledRateHeaders:
		values = garbledRates[number%len(garbledRates)]
	}
	for i, name := range [3]string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} {
		h.Set(name, values[i])
	}
}
