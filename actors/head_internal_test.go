package actors

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/messages/journalv1"
)

// decodedBy is what the generated code makes of a record.
func decodedBy(data []byte) (acceptance, error) {
	var m journalv1.TaskAccepted
	if err := proto.Unmarshal(data, &m); err != nil {
		return acceptance{}, err
	}
	return newAcceptance(&m, hashDelivery(m.GetSource(), m.GetDeliveryId()))
}

func drawBytes(t *rapid.T, name string) []byte {
	return rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, name)
}

func drawText(t *rapid.T, name string) string {
	return rapid.OneOf(rapid.SampledFrom([]string{"", "github", "push"}), rapid.StringN(0, 20, 200)).Draw(t, name)
}

func drawID(t *rapid.T, name string) []byte {
	return rapid.SliceOfN(rapid.Byte(), 15, 16).Draw(t, name)
}

// TestAcceptedDecoder: one record after the other is decoded as the generated code does it.
func TestAcceptedDecoder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d acceptedDecoder
		for range rapid.IntRange(1, 5).Draw(t, "records") {
			m := &journalv1.TaskAccepted{
				TaskId: drawID(t, "id"), Source: drawText(t, "source"), EventType: drawText(t, "event type"),
				DeliveryId: drawText(t, "delivery"), Key: drawText(t, "key"), At: rapid.Int64().Draw(t, "at"),
				MaxAttempts: rapid.Uint32().Draw(t, "attempts"), Route: drawText(t, "route"), Body: drawBytes(t, "body"),
				PackedBody: drawBytes(t, "packed"), Traceparent: drawText(t, "parent"), Tracestate: drawText(t, "state"),
				Headers: []*journalv1.Header{{Name: drawText(t, "name"), Value: drawText(t, "value")}},
			}
			for range rapid.IntRange(0, 2).Draw(t, "parts") {
				m.Parts = append(m.Parts, &journalv1.Part{
					TaskId: drawID(t, "part"), Route: drawText(t, "its route"), Key: drawText(t, "its key"), MaxAttempts: 3,
				})
			}
			data, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			compareDecoded(t, &d, data)
		}
	})
}

// FuzzAcceptedDecoder: what the generated code takes is decoded likewise, and what it does not take harms nobody.
func FuzzAcceptedDecoder(f *testing.F) {
	whole, err := proto.Marshal(&journalv1.TaskAccepted{
		TaskId: make([]byte, 16), Source: "github", EventType: "push", DeliveryId: "d", Key: "k", At: 1, MaxAttempts: 3,
		Headers: []*journalv1.Header{{Name: "N", Value: "v"}}, Body: []byte("{}"), Route: "r",
		Parts: []*journalv1.Part{{TaskId: make([]byte, 16), Route: "a", Key: "b", MaxAttempts: 2}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte{0x0b, 0x0c})       // a group in the place of the ID
	f.Add([]byte{0x08, 1, 0x32, 0}) // a number in the place of the ID, bytes in that of a time
	f.Fuzz(func(t *testing.T, data []byte) { compareDecoded(t, new(acceptedDecoder), data) })
}

func compareDecoded(t interface {
	Helper()
	Fatalf(string, ...any)
}, d *acceptedDecoder, data []byte,
) {
	t.Helper()
	var got acceptance
	deliveryID, gotErr := d.decode(data, &got)
	got.delivery = hashDelivery(got.origin.source, deliveryID)
	want, wantErr := decodedBy(data)
	if wantErr == nil && (gotErr != nil || !reflect.DeepEqual(got, want)) {
		t.Fatalf("decoded as\n%+v, %v, not\n%+v", got, gotErr, want)
	}
}
