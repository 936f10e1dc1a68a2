package errbody

import (
	"bytes"
	"encoding/xml"
)

// ParseXML reads an error of the storages that take uploads and keep reports:
//
//	<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>
//
// Of one that is not whole it keeps what came.
func ParseXML(data []byte) Body {
	var e struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   string
		RequestID string `xml:"RequestId"`
	}
	dec := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	dec.Strict = false
	_ = dec.Decode(&e) // what could be read is there
	return Body{CodeName: e.Code, Message: e.Message, RequestID: e.RequestID}
}
