package github_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/github"
)

// A request is verified over its raw bytes, and parsed only then.
func Example() {
	s, err := github.New(source.Config{
		Name:    "github",
		Type:    "github",
		Secrets: []source.Secret{{Value: []byte("It's a Secret to Everybody")}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	header, body, err := s.(source.Sampler).Sample("issues", "7912b541-16ae-5a58-9def-9a847f515516")
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Now()
	header, err = s.(source.Signer).Sign(header, body, now)
	if err != nil {
		fmt.Println(err)
		return
	}

	req := &source.Request{Method: "POST", Header: header, Body: body, ReceivedAt: now}
	fmt.Println(s.Verify(req, now))
	d, err := s.Parse(req)
	fmt.Println(d.EventType, d.DeliveryID, d.Key, err)

	req.Body = append(body, ' ')
	refusal := new(source.Refusal)
	fmt.Println(errors.As(s.Verify(req, now), &refusal), refusal.Reason)
	// Output:
	// <nil>
	// issues.opened 7912b541-16ae-5a58-9def-9a847f515516 Codertocat/Hello-World#1 <nil>
	// true signature_mismatch
}

// A source without a secret is not made, unless the configuration says that it is insecure.
func ExampleNew() {
	_, err := github.New(source.Config{Name: "github", Type: "github"})
	fmt.Println(err)
	// Output:
	// sources.github.secrets: at least one is needed; to accept unverified requests, say insecure: true
}
