package server

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// forPolicies is the memory in bytes that a page of policies needs, however many they are: one policy
// may be nearly all of a file of rules. JSON escapes what is in it.
const forPolicies = 4 * limits.AccessFile

func groupOf(id string) api.Group { return api.Group{ID: id, Name: id} }

func policyOf(p access.Policy) api.Policy {
	return api.Policy{ID: p.ID, Statement: convertAll(p.Statements, statementOf)}
}

// statementOf writes several resources as a list in JSON, as lakeFS reads them.
func statementOf(s access.Statement) api.Statement {
	resource := s.Resources[0] // there is one at least
	if len(s.Resources) > 1 {
		resource = strings.TrimSpace(string(encode(s.Resources)))
	}
	return api.Statement{Effect: api.StatementEffect(s.Effect), Resource: resource, Action: s.Actions}
}

// selection selects a page of a list that is in memory.
type selection[T any] struct {
	prefix, after string
	amount        int
	id            func(T) string
}

// of returns the page of results, which are in the order of their IDs, and whether more follow.
func (s selection[T]) of(all []T) (page []T, more bool) {
	for _, one := range all {
		if id := s.id(one); id <= s.after || !strings.HasPrefix(id, s.prefix) {
			continue
		}
		if len(page) == s.amount {
			return page, true
		}
		page = append(page, one)
	}
	return page, false
}

func groupPage(all []string, prefix, after string, amount int) api.GroupList {
	id := func(id string) string { return id }
	page, more := selection[string]{prefix, after, amount, id}.of(all)
	return api.GroupList{Pagination: pagination(page, more, id), Results: convertAll(page, groupOf)}
}

// listPolicies answers a page of the policies that `of` returns.
func (h *handlers) listPolicies(w http.ResponseWriter, r *http.Request, params api.ListPoliciesParams, of func(context.Context, *access.Rules) ([]access.Policy, error)) {
	each := int64(forPolicies / cmp.Or(max(params.Amount, 0), defaultAmount))
	h.serveList(w, r, params.Amount, each, func(ctx context.Context, amount int) (any, error) {
		all, err := of(ctx, h.rules())
		id := func(p access.Policy) string { return p.ID }
		page, more := selection[access.Policy]{params.Prefix, params.After, amount, id}.of(all)
		return api.PolicyList{Pagination: pagination(page, more, id), Results: convertAll(page, policyOf)}, err
	})
}

// ListUserGroups answers a page of the groups that the rules put a user in.
func (h *handlers) ListUserGroups(w http.ResponseWriter, r *http.Request, user string, params api.ListUserGroupsParams) {
	h.serveList(w, r, params.Amount, perResult, func(ctx context.Context, amount int) (any, error) {
		_, err := h.users.Get(ctx, user)
		return groupPage(h.rules().GroupsOf(user), params.Prefix, params.After, amount), err
	})
}

// ListUserPolicies answers a page of the policies of a user.
func (h *handlers) ListUserPolicies(w http.ResponseWriter, r *http.Request, user string, params api.ListUserPoliciesParams) {
	page := api.ListPoliciesParams{Prefix: params.Prefix, After: params.After, Amount: params.Amount}
	h.listPolicies(w, r, page, func(ctx context.Context, rules *access.Rules) ([]access.Policy, error) {
		_, err := h.users.Get(ctx, user)
		return rules.PoliciesOf(user, params.Effective), err
	})
}

// ListGroups answers a page of groups.
func (h *handlers) ListGroups(w http.ResponseWriter, r *http.Request, params api.ListGroupsParams) {
	h.serveList(w, r, params.Amount, perResult, func(_ context.Context, amount int) (any, error) {
		return groupPage(h.rules().Groups(), params.Prefix, params.After, amount), nil
	})
}

// GetGroup answers a group.
func (h *handlers) GetGroup(w http.ResponseWriter, r *http.Request, group string) {
	h.serve(w, r, input{}, func(context.Context, access.Caller) (int, any, error) {
		return http.StatusOK, groupOf(group), hasGroup(h.rules(), group)
	})
}

func hasGroup(rules *access.Rules, id string) error {
	if !rules.HasGroup(id) {
		return fault.Missing("group")
	}
	return nil
}

// ListGroupMembers answers a page of the users that the rules put in a group.
func (h *handlers) ListGroupMembers(w http.ResponseWriter, r *http.Request, group string, params api.ListGroupMembersParams) {
	h.serveList(w, r, params.Amount, perResult, func(_ context.Context, amount int) (any, error) {
		rules, id := h.rules(), func(id string) string { return id }
		page, more := selection[string]{params.Prefix, params.After, amount, id}.of(rules.Members(group))
		member := func(id string) api.User { return api.User{ID: id, FriendlyName: id} }
		return api.UserList{Pagination: pagination(page, more, id), Results: convertAll(page, member)}, hasGroup(rules, group)
	})
}

// ListGroupPolicies answers a page of the policies of a group.
func (h *handlers) ListGroupPolicies(w http.ResponseWriter, r *http.Request, group string, params api.ListGroupPoliciesParams) {
	h.listPolicies(w, r, api.ListPoliciesParams(params), func(_ context.Context, rules *access.Rules) ([]access.Policy, error) {
		return rules.PoliciesOfGroup(group), hasGroup(rules, group)
	})
}

// ListPolicies answers a page of policies, with those that are built in.
func (h *handlers) ListPolicies(w http.ResponseWriter, r *http.Request, params api.ListPoliciesParams) {
	h.listPolicies(w, r, params, func(_ context.Context, rules *access.Rules) ([]access.Policy, error) {
		return rules.Policies(), nil
	})
}

// GetPolicy answers a policy.
func (h *handlers) GetPolicy(w http.ResponseWriter, r *http.Request, policy string) {
	h.serve(w, r, input{fixed: forPolicies}, func(context.Context, access.Caller) (int, any, error) {
		got, ok := h.rules().Policy(policy)
		if !ok {
			return 0, nil, fault.Missing("policy")
		}
		return http.StatusOK, policyOf(got), nil
	})
}
