package route_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/route"
)

// textOf compiles and evaluates one expression.
func textOf(t *testing.T, expression, body string) (route.Text, error) {
	t.Helper()
	e, err := route.Compile(expression)
	if err != nil {
		t.Fatalf("Compile(%q): %v", expression, err)
	}
	texts, err := route.Texts(&route.Delivery{
		Source: "forge", EventType: "push", Headers: []route.Header{{Name: "x-title", Value: "a title"}}, Body: []byte(body),
	}, []*route.Expression{e})
	if err != nil {
		return route.Text{}, err
	}
	return texts[0], nil
}

func TestTexts(t *testing.T) {
	const body = `{"s":"a \"b\"","n":9007199254740993,"f":1.5,"t":true,"null":null,"l":[1,"<&>"],"o":{"b":1,"a":[]},"e":""}`
	for expression, want := range map[string]route.Text{
		`payload.s`:                  {Value: `a "b"`, Present: true},
		`payload.n`:                  {Value: "9007199254740993", Present: true},
		`payload.f`:                  {Value: "1.5", Present: true},
		`payload.t`:                  {Value: "true", Present: true},
		`payload.e`:                  {Value: "", Present: true},
		`payload.null`:               {},
		`payload.missing.further`:    {},
		`payload.l`:                  {Value: `[1,"<&>"]`, Present: true},
		`payload.l[0]`:               {Value: "1", Present: true},
		`payload.o`:                  {Value: `{"a":[],"b":1}`, Present: true},
		`header("X-Title")`:          {Value: "a title", Present: true},
		`source + "/" + event`:       {Value: "forge/push", Present: true},
		`"--literal"`:                {Value: "--literal", Present: true},
		`payload.missing ?? "other"`: {Value: "other", Present: true},
	} {
		if got, err := textOf(t, expression, body); err != nil || got != want {
			t.Errorf("%s = %+v, %v; want %+v", expression, got, err, want)
		}
	}
}

func TestTextsFailOnTheirDeliveryOnly(t *testing.T) {
	for _, body := range []string{`{"l":[]}`, `{"l":"text"}`} {
		if got, err := textOf(t, `payload.l[3].id`, body); err == nil {
			t.Errorf("%s gave %+v, want an error", body, got)
		}
	}
	if got, err := textOf(t, `payload.l[0].id`, `{"l":[{"id":7}]}`); err != nil || got.Value != "7" {
		t.Errorf("%+v, %v; want 7", got, err)
	}
}

func TestCompileRefuses(t *testing.T) {
	for expression, want := range map[string]string{
		"":                                    "empty",
		"payload.":                            "column",
		"1 + paylod.x":                        "unknown name paylod",
		"now()":                               "now",
		`payload.a matches payload.b`:         "literal",
		`"` + strings.Repeat("x", 5000) + `"`: "bytes",
	} {
		if _, err := route.Compile(expression); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Compile(%.40q) = %v, want %q in it", expression, err, want)
		}
	}
}

// A key and a text are the same wherever there can be a key.
func TestTextIsTheKey(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.SampledFrom([]string{`1`, `-0`, `1.25`, `1e400`, `true`, `"k"`, `""`, `null`}).Draw(rt, "value")
		body := `{"v":` + value + `}`
		table, err := route.New([]route.Config{{Name: "r", Key: "payload.v", Handlers: []string{"h"}}})
		if err != nil {
			rt.Fatal(err)
		}
		assigned, errs := table.Route(&route.Delivery{Body: []byte(body)})
		got, err := textOf(t, "payload.v", body)
		if err != nil || len(errs) > 0 || assigned[0].Key != got.Value {
			rt.Errorf("%s: text %+v, key %v, %v, %v", value, got, assigned, err, errs)
		}
	})
}
