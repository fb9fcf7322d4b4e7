package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Resource is what an action is done to: one thing, all keys below a prefix, or more.
type Resource struct {
	service string
	id      string // or the prefix of many; "" is everything there is
	// below says that the resource is all keys that start with id.
	below bool
	// storage says that a pattern that ends in '/' stands for all keys below it, too, as it
	// does in the import of a prefix.
	storage bool
	// directory says that the resource is a directory of a store, whose name need not end in '/'.
	directory bool
	// any says that the action needs to be allowed on something, whatever it is.
	any bool
}

// Everything is what is not part of a repository or a user, such as the configuration. Only the
// pattern * stands for it.
func Everything() Resource { return Resource{} }

// Anything needs the action to be allowed on one resource at least. It is for lists, whose results
// are then checked one by one.
func Anything() Resource { return Resource{any: true} }

// Repository is a repository, without what it holds.
func Repository(repository string) Resource { return inRepository(repository, "") }

// Branch is a branch of a repository.
func Branch(repository, branch string) Resource { return inRepository(repository, "/branch/"+branch) }

// Tag is a tag of a repository.
func Tag(repository, tag string) Resource { return inRepository(repository, "/tag/"+tag) }

// Object is an object of a repository, on any branch.
func Object(repository, key string) Resource { return inRepository(repository, "/object/"+key) }

// Destination is the destination of a path of an import. It is one object, or a directory; the
// import replaces all keys of a directory. The empty directory is the whole repository.
func Destination(repository, key string, directory bool) Resource {
	if directory && key != "" && !strings.HasSuffix(key, "/") {
		key += "/"
	}
	r := Object(repository, key)
	r.below, r.storage = directory, true
	return r
}

// Namespace is one place in a store.
func Namespace(uri string) Resource { return Resource{service: "fs", id: "namespace/" + uri} }

// storageNamespace is the directory of a store where a repository is to be, with or without '/' at its
// end, as in the patterns. Whatever is denied below it denies it: the files of the repository are there.
func storageNamespace(uri string) Resource {
	r := Namespace(strings.TrimSuffix(uri, "/"))
	r.directory = true
	return r
}

// Source is the source of a path of an import: one object, or all keys that start with a prefix,
// which need not end in '/'. The URI must be in the form in which it is listed.
func Source(uri string, prefix bool) Resource {
	r := Namespace(uri)
	r.below, r.storage = prefix, true
	return r
}

// User is a user, with its credentials.
func User(name string) Resource { return Resource{service: "auth", id: "user/" + name} }

// groupResource is a group, with its members and policies.
func groupResource(id string) Resource { return Resource{service: "auth", id: "group/" + id} }

// policyResource is a policy, with its statements.
func policyResource(id string) Resource { return Resource{service: "auth", id: "policy/" + id} }

func inRepository(repository, rest string) Resource {
	return Resource{service: "fs", id: "repository/" + repository + rest}
}

// valid reports whether the resource can be granted. Names and keys are valid UTF-8.
func (r Resource) valid() bool { return utf8.ValidString(r.id) }

// target is the pattern of a resource in a statement.
type target struct {
	all bool // "*"
	arn ARN
}

// userVariable is replaced by the name of the caller in resources of statements.
const userVariable = "${user}"

// kinds are how the resources of a service start.
var kinds = map[string][]string{
	"fs":      {"repository/", "namespace/"},
	"auth":    {"user/", "group/", "policy/", "externalPrincipal/"},
	"catalog": {"namespace/", "table/", "view/"},
}

// parseTarget parses the pattern of a resource. One that stands for no resource is an error, as a
// mistyped one would deny nothing.
func parseTarget(text string) (target, error) {
	if text == "*" {
		return target{all: true}, nil
	}
	a, err := ParseARN(text)
	if err != nil {
		return target{}, err
	}
	starts, ok := kinds[a.Service]
	switch {
	case !ok:
		return target{}, fmt.Errorf("the service %q has no resources", a.Service)
	case a.Account != "":
		return target{}, fmt.Errorf("the account %q: no resource has one", a.Account)
	case !slices.ContainsFunc(starts, pattern(a.Resource).meets):
		return target{}, fmt.Errorf("want a resource of %s that starts with %s", a.Service, strings.Join(starts, " or "))
	}
	return target{arn: a}, checkVariables(a.Resource)
}

// checkVariables refuses all variables but that of the user.
func checkVariables(resource string) error {
	if strings.Contains(strings.ReplaceAll(resource, userVariable, ""), "${") {
		return errors.New("${user} is the only variable")
	}
	return nil
}

// of returns the target for a user, whose name has no wildcards.
func (t target) of(name string) target {
	t.arn.Resource = strings.ReplaceAll(t.arn.Resource, userVariable, name)
	return t
}

// allows reports whether the target stands for all of a resource.
func (t target) allows(r Resource) bool {
	if t.all || r.any {
		return true
	}
	p, ok := t.patternFor(r)
	switch {
	case r.below:
		return ok && p.covers(r.id)
	case r.directory:
		return ok && (p.matches(r.id) || p.matches(r.id+"/"))
	}
	return ok && p.matches(r.id)
}

// denies reports whether the target stands for any part of a resource.
func (t target) denies(r Resource) bool {
	if t.all {
		return true
	}
	p, ok := t.patternFor(r)
	switch {
	case r.below:
		return ok && p.meets(r.id)
	case r.directory:
		return ok && (p.matches(r.id) || p.andBelow().meets(r.id+"/"))
	}
	return ok && p.matches(r.id)
}

// patternFor returns the pattern to compare with the ID of a resource; ok is false if none of it
// can match.
func (t target) patternFor(r Resource) (p pattern, ok bool) {
	p = pattern(t.arn.Resource)
	if r.storage {
		p = p.andBelow()
	}
	return p, r.id != "" && t.arn.comparable(ARN{Service: r.service})
}
