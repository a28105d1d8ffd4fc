package actors

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
)

// oneRecord is a journal with one record.
type oneRecord []byte

func (r oneRecord) Read(journal.Position) (journal.Record, error) {
	return journal.Record{Type: uint8(journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED), Data: r}, nil
}

// sample is the delivery of testdata/accepted-*.hex.
func sample() *messages.Delivery {
	return &messages.Delivery{
		Source: "forge", EventType: "push", DeliveryId: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Key: "octo/repo",
		ReceivedAt: 1700000000123456789, MaxAttempts: 3, Traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Headers: []*messages.Header{
			{Name: "User-Agent", Value: "GitHub-Hookshot/044aadd"},
			{Name: "Content-Type", Value: "application/json"},
			{Name: "X-Github-Delivery", Value: "72d3162e-cc78-11e3-81ab-4c9367dc0958"},
			{Name: "X-Github-Event", Value: "push"},
			{Name: "X-Hub-Signature-256", Value: "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
			{Name: "X-Twice", Value: "a"},
			{Name: "X-Twice", Value: ""},
		},
		Body: bytes.Repeat([]byte(`{"ref":"refs/heads/main"}`), 20),
	}
}

// Records are read as they were ever written: with headers one by one, and with packed headers.
func TestOldRecordsAreRead(t *testing.T) {
	for _, name := range []string{"accepted-headers.hex", "accepted-packed-headers.hex"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readDelivery(oneRecord(data), journal.Position{}); err != nil || !proto.Equal(got, sample()) {
			t.Errorf("%s: read %v, %v", name, got, err)
		}
	}
}

// What is written now is what version 1 of the format says, and headers that make no sense are an error.
func TestRecordOfADelivery(t *testing.T) {
	record := acceptedRecord(sample())
	record.MaxAttempts = 3 // the registry's business
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/accepted-packed-headers.hex")
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(data); got != strings.TrimSpace(string(want)) {
		t.Errorf("written is\n%s", got)
	}
	record.PackedHeaders = record.PackedHeaders[:len(record.PackedHeaders)-1]
	if d, err := delivered(record); err == nil {
		t.Errorf("headers that are cut short are read: %v", d.GetHeaders())
	}
}
