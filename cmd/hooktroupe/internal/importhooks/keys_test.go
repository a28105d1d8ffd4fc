package importhooks_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/cmd/hooktroupe/internal/importhooks"
	"github.com/hooktroupe/hooktroupe/route"
)

// with is a file of one hook with further members.
func with(members string) string { return `[{"id":"h","execute-command":"/bin/true",` + members + `}]` }

// Every key that is not kept is named, and no other is.
func TestWarnings(t *testing.T) {
	const open = "h trigger-rule"
	for members, want := range map[string][]string{
		`"command-working-directory":"/"`:                             {open},
		`"response-message":"hi"`:                                     {open, "h response-message"},
		`"response-headers":[{"name":"A","value":"b"}]`:               {open, "h response-headers"},
		`"success-http-response-code":201`:                            {open, "h success-http-response-code"},
		`"success-http-response-code":202`:                            {open},
		`"include-command-output-in-response":true`:                   {open, "h include-command-output-in-response"},
		`"include-command-output-in-response-on-error":true`:          {open, "h include-command-output-in-response-on-error"},
		`"trigger-rule-mismatch-http-response-code":400`:              {open, "h trigger-rule-mismatch-http-response-code"},
		`"trigger-signature-soft-failures":true`:                      {open},
		`"incoming-payload-content-type":"application/json"`:          {open},
		`"incoming-payload-content-type":"application/xml"`:           {open, "h incoming-payload-content-type"},
		`"http-methods":["post"]`:                                     {open},
		`"http-methods":["POST","PUT"]`:                               {open, "h http-methods"},
		`"http-methods":["GET"]`:                                      {"h http-methods"},
		`"pre-hook-command":"/bin/false","nonsense":1`:                {open, "h nonsense", "h pre-hook-command"},
		`"pass-file-to-command":[{"source":"payload","name":"b"}]`:    {open, "h pass-file-to-command"},
		`"pass-arguments-to-command":[{"source":"url","name":"q"}]`:   {open, "h pass-arguments-to-command[0]"},
		`"pass-environment-to-command":[{"source":"url","name":"q"}]`: {open, "h pass-environment-to-command[0]"},
	} {
		result, _ := imported(t, t.TempDir(), with(members))
		var got []string
		for _, w := range result.Warnings {
			got = append(got, w.Hook+" "+w.Key)
			if w.Why == "" || strings.ContainsAny(w.String(), "\n\r") {
				t.Errorf("%s: %q is not a clause on a line", members, w)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: warnings of %q, want %q", members, got, want)
		}
	}
}

// What a command is given is what it was given before.
func TestArguments(t *testing.T) {
	const body = `{"a":{"b":"x y","n":3.5},"l":[{"id":"first"}],"t":true,"o":{"k":[1]}}`
	for argument, want := range map[string]string{
		`{"source":"payload","name":"a.b"}`:         "x y",
		`{"source":"payload","name":"a.n"}`:         "3.5",
		`{"source":"payload","name":"t"}`:           "true",
		`{"source":"payload","name":"o"}`:           `{"k":[1]}`,
		`{"source":"payload","name":"l.0.id"}`:      "first",
		`{"source":"payload","name":"l.1.id"}`:      "",
		`{"source":"payload","name":"a.0"}`:         "",
		`{"source":"payload","name":"no.such"}`:     "",
		`{"source":"header","name":"x-event"}`:      "push",
		`{"source":"header","name":"x-none"}`:       "",
		`{"source":"request","name":"METHOD"}`:      "POST",
		`{"source":"entire-payload"}`:               `{"a":{"b":"x y","n":3.5},"l":[{"id":"first"}],"o":{"k":[1]},"t":true}`,
		`{"source":"entire-headers"}`:               "",
		`{"source":"raw-request-body"}`:             "",
		`{"source":"header","name":"X-Api-Token"}`:  "",
		`{"source":"request","name":"remote-addr"}`: "",
	} {
		_, cfg := imported(t, t.TempDir(), with(`"pass-arguments-to-command":[`+argument+`,{"source":"string","name":"$last\n"}]`))
		h := cfg.Handlers["h"]
		d := &route.Delivery{Body: []byte(body), Headers: []route.Header{{Name: "X-Event", Value: "push"}, {Name: "X-Api-Token", Value: "hush"}}}
		var expressions []*route.Expression
		for _, text := range h.Arguments {
			e, err := route.Compile(text)
			if err != nil {
				t.Fatal(err)
			}
			expressions = append(expressions, e)
		}
		texts, err := route.Texts(d, expressions)
		if err != nil || len(texts) != 2 || texts[0].Value != want || texts[1].Value != "$last\n" {
			t.Errorf("%s: %+v, %v; want %q", argument, texts, err, want)
		}
	}
}

func TestCommandAndVariables(t *testing.T) {
	_, cfg := imported(t, t.TempDir(), `[{"id":"h","execute-command":"true","command-working-directory":"/bin",
		"pass-arguments-to-command":[{"source":"string","name":"-v"},{"source":"string","name":"--"},{"source":"payload","name":"ref"}],
		"pass-environment-to-command":[{"source":"payload","name":"head.id"},{"source":"string","name":"file:/etc/x","envname":"MODE"},
			{"source":"payload","name":"x","envname":"A=B"},{"source":"payload","name":"x","envname":"HOOKTROUPE_KEY"}]}]`)
	h := cfg.Handlers["h"]
	if want := []string{"/bin/true", "-v", "--"}; !slices.Equal(h.Command, want) || h.Dir != "/bin" {
		t.Errorf("command %q in %s, want %q in /bin", h.Command, h.Dir, want)
	}
	if want := []string{"payload.ref"}; !slices.Equal(h.Arguments, want) {
		t.Errorf("arguments %q, want %q", h.Arguments, want)
	}
	want := map[string]string{"HOOK_head.id": "payload.head.id", "MODE": `"file:/etc/x"`}
	if fmt.Sprint(h.Variables) != fmt.Sprint(want) {
		t.Errorf("variables %v, want %v", h.Variables, want)
	}
	if r := cfg.Routes[0]; r.MaxAttempts != 1 || r.Handler != "h" || r.Source != "h" {
		t.Errorf("route %+v, want one attempt of h for h", r)
	}
}

// The JSON that a form holds is what rules and arguments look into.
func TestJSONInAForm(t *testing.T) {
	rule := and(matching("value", "passed", "payload", "payload.state"), matching("value", "main", "payload", "payload.branch"))
	const parse = `"parse-parameters-as-json":[{"source":"payload","name":"payload"}],`
	_, cfg := imported(t, t.TempDir(), with(parse+`"trigger-rule":`+rule))
	filter := cfg.Routes[0].Filter
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for body, want := range map[string]bool{
		"payload=%7B%22state%22%3A%22passed%22%2C%22branch%22%3A%22main%22%7D": true,
		"payload=%7B%22state%22%3A%22failed%22%2C%22branch%22%3A%22main%22%7D": false,
		"state=passed&branch=main&payload=":                                    false,
	} {
		if got := decide(t, filter, body, form); got != want {
			t.Errorf("%s of %s is %t", filter, body, got)
		}
	}
	for _, members := range []string{
		parse + `"trigger-rule":` + matching("value", "x", "payload", "other"),
		`"parse-parameters-as-json":[{"source":"header","name":"X-A"}],"trigger-rule":` + matching("value", "x", "payload", "a"),
	} {
		if result, _ := imported(t, t.TempDir(), with(members)); result.Imported != 0 {
			t.Errorf("%s is imported", members)
		}
	}
}

func TestHooksWithoutWhatTheyNeed(t *testing.T) {
	result, _ := imported(t, t.TempDir(), `[{"id":"a","execute-command":"/bin/true"},{"id":"a","execute-command":"/bin/true"},
		{"execute-command":"/bin/true"},{"id":"b"}]`)
	if want := []string{"a", "#3", "b"}; result.Imported != 1 || !slices.Equal(result.LeftOut, want) {
		t.Errorf("%d imported, %q left out; want 1, %q", result.Imported, result.LeftOut, want)
	}
}

// A secret that several hooks share is one file; what prints a secret does not show it.
func TestSecrets(t *testing.T) {
	rule := func(secret string) string {
		return `"execute-command":"/bin/true","trigger-rule":` + matching("payload-hmac-sha256", secret, "header", "X-Sig")
	}
	result, cfg := imported(t, t.TempDir(), `[{"id":"A b",`+rule("hush 1")+`},{"id":"a/b",`+rule("hush 1")+`},{"id":"c",`+rule("hush\n")+`}]`)
	if len(result.Secrets) != 2 {
		t.Fatalf("%d secrets, want 2", len(result.Secrets))
	}
	if printed := fmt.Sprintf("%v %+v %#v %s", result.Secrets, result.Secrets, result.Secrets[0], result.Warnings); strings.Contains(printed, "hush") {
		t.Errorf("a secret is printed: %s", printed)
	}
	for name, want := range map[string]string{"a-b": "hush 1", "a-b-2": "hush 1", "c": "hush\n"} {
		if got := cfg.Sources[name].Resolved; len(got) != 1 || string(got[0].Value) != want {
			t.Errorf("source %s: not its secret", name)
		}
	}
	if aliases := cfg.Sources["a-b"].Aliases; len(aliases) != 0 {
		t.Errorf("an ID with a blank has the alias %q", aliases)
	}
}

// Whatever the IDs are, each hook has names of its own, and the daemon takes them.
func TestAnyIDs(t *testing.T) {
	folder := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.OneOf(
			rapid.StringMatching(`[aA.-]{1,3}(-2)?`), rapid.StringN(1, 80, 200), rapid.SampledFrom([]string{"../x", "a//b", "null", "~", "1e3"}),
		), 1, 5, func(id string) string { return id }).Draw(rt, "ids")
		var list []string
		for _, id := range ids {
			list = append(list, fmt.Sprintf(`{"id":%s,"execute-command":"/bin/true"}`, jsonText(id)))
		}
		result, cfg := written(rt, folder, "["+strings.Join(list, ",")+"]")
		if result.Imported != len(ids) || len(cfg.Sources) != len(ids) || len(cfg.Handlers) != len(ids) || len(cfg.Routes) != len(ids) {
			rt.Errorf("%d imported, %d sources; want %d", result.Imported, len(cfg.Sources), len(ids))
		}
	})
}

func TestNothing(t *testing.T) {
	result, cfg := imported(t, t.TempDir(), "[]")
	if result.Imported+len(result.LeftOut)+len(result.Warnings) > 0 || len(cfg.Sources) > 0 {
		t.Errorf("of no hooks there is %+v", result)
	}
	if _, err := importhooks.Import(nil, "/").YAML(); err != nil {
		t.Error(err)
	}
}
