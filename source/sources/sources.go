// Package sources is the one table of the types of sources there are. The daemon and the commands read it; nothing
// registers itself.
package sources

import (
	"maps"
	"slices"

	"github.com/hooktroupe/hooktroupe/source"
	"github.com/hooktroupe/hooktroupe/source/azuredevops"
	"github.com/hooktroupe/hooktroupe/source/bitbucketserver"
	"github.com/hooktroupe/hooktroupe/source/generic"
	"github.com/hooktroupe/hooktroupe/source/github"
	"github.com/hooktroupe/hooktroupe/source/gitlab"
)

// All returns the constructor of each type, by the name that the configuration uses. The map is the caller's.
func All() map[string]source.Constructor {
	return map[string]source.Constructor{
		"azure_devops":     azuredevops.New,
		"bitbucket_server": bitbucketserver.New,
		"generic":          generic.New,
		"github":           github.New,
		"gitlab":           gitlab.New,
	}
}

// Types returns the names of the types, sorted.
func Types() []string { return slices.Sorted(maps.Keys(All())) }
