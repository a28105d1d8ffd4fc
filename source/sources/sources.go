// Package sources is the one table of the types of sources there are. The daemon and the commands read it; nothing
// registers itself.
//
// A new sender is a package with a New, its samples, a line here, and a run of the suite in sourcetest.
package sources

import (
	"maps"
	"slices"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/azuredevops"
	"github.com/hooktroupe/hooktroupe/source/bitbucketcloud"
	"github.com/hooktroupe/hooktroupe/source/bitbucketserver"
	"github.com/hooktroupe/hooktroupe/source/cloudevents"
	"github.com/hooktroupe/hooktroupe/source/generic"
	"github.com/hooktroupe/hooktroupe/source/gitea"
	"github.com/hooktroupe/hooktroupe/source/github"
	"github.com/hooktroupe/hooktroupe/source/gitlab"
	"github.com/hooktroupe/hooktroupe/source/jira"
	"github.com/hooktroupe/hooktroupe/source/shopify"
	"github.com/hooktroupe/hooktroupe/source/slack"
	"github.com/hooktroupe/hooktroupe/source/standardwebhooks"
	"github.com/hooktroupe/hooktroupe/source/stripe"
)

// All returns the constructor of each type, by the name that the configuration uses. The map is the caller's.
func All() map[string]source.Constructor {
	return map[string]source.Constructor{
		"azure_devops":      azuredevops.New,
		"bitbucket_cloud":   bitbucketcloud.New,
		"bitbucket_server":  bitbucketserver.New,
		"cloudevents":       cloudevents.New,
		"forgejo":           gitea.NewForgejo,
		"generic":           generic.New,
		"gitea":             gitea.New,
		"github":            github.New,
		"gitlab":            gitlab.New,
		"jira":              jira.New,
		"shopify":           shopify.New,
		"slack":             slack.New,
		"standard_webhooks": standardwebhooks.New,
		"stripe":            stripe.New,
	}
}

// Types returns the names of the types, sorted.
func Types() []string { return slices.Sorted(maps.Keys(All())) }
