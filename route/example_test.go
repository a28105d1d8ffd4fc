package route_test

import (
	"fmt"

	"github.com/hooktroupe/hooktroupe/route"
)

// Reviews go to two handlers, one pull request after the other; what is left goes to the log.
func Example() {
	routes, err := route.New([]route.Config{
		{
			Name: "reviews", Source: "git*", Events: []string{"pull_request.{opened,reopened}"},
			Filter:   `not payload.pull_request.draft and any(payload.pull_request.labels, .name == "bug")`,
			Key:      `payload.repository.full_name + "#" + string(payload.number)`,
			Handlers: []string{"review", "notify"},
		},
		{Name: "rest", Handlers: []string{"log"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	assignments, _ := routes.Route(&route.Delivery{
		Source: "github", EventType: "pull_request.opened",
		Body: []byte(`{"number": 42, "pull_request": {"draft": false, "labels": [{"name": "bug"}]},
			"repository": {"full_name": "o/r"}}`),
	})
	for _, a := range assignments {
		fmt.Println(a.Name, a.Key)
	}
	// Output:
	// reviews/review o/r#42
	// reviews/notify o/r#42
}

// Explain says route by route why a delivery goes where it goes.
func ExampleTable_Explain() {
	routes, err := route.New([]route.Config{
		{Name: "gitlab", Source: "gitlab", Handlers: []string{"log"}},
		{Name: "pushes", Events: []string{"push"}, Handlers: []string{"build"}},
		{Name: "main", Filter: `payload.ref == "refs/heads/main"`, Handlers: []string{"deploy"}},
		{Name: "rest", Handlers: []string{"log"}},
		{Name: "never", Handlers: []string{"log"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	d := &route.Delivery{Source: "github", EventType: "create", Body: []byte(`{"ref": "refs/heads/topic"}`)}
	for _, s := range routes.Explain(d) {
		fmt.Printf("%s: %s\n", s.Route, s.Why)
	}
	// Output:
	// gitlab: source "github" is not "gitlab"
	// pushes: event "create" is none of ["push"]
	// main: its filter is false
	// rest: it matches
}
