package errbody_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/pinterest-go/pinterest/internal/errbody"
)

func TestParseXML(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		data string
		want errbody.Body
	}{
		"expired": {
			`<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message><RequestId>R1</RequestId></Error>`,
			errbody.Body{CodeName: "AccessDenied", Message: "Request has expired", RequestID: "R1"},
		},
		"with a mark and a namespace": {"\ufeff" + `<Error xmlns="http://x.example"><Code>A</Code><Message>b</Message></Error>`, errbody.Body{CodeName: "A", Message: "b"}},
		"another root":                {`<html><Code>A</Code></html>`, errbody.Body{}},
		"cut off":                     {`<Error><Code>A</Code><Message>b`, errbody.Body{CodeName: "A"}},
		"not well formed":             {`<Error><Code>A</Code><Q>a=b&c=d</Q><Message>b</Message></Error>`, errbody.Body{CodeName: "A", Message: "b"}},
		"JSON":                        {`{"message":"x"}`, errbody.Body{}},
		"nothing":                     {``, errbody.Body{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, errbody.ParseXML([]byte(tt.data)))
		})
	}
}
