package server

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// Users is what the server needs of *users.Store.
type Users interface {
	Get(ctx context.Context, id string) (users.User, error)
	Create(ctx context.Context, id, source string) (users.User, error)
	Delete(ctx context.Context, id string) error
	List(ctx context.Context, prefix, after string, amount int) (page []users.User, more bool, err error)
}

// AccessKeys is what the server needs of users.Keys.
type AccessKeys interface {
	// Create returns the key's secret, too, which cannot be retrieved again.
	Create(ctx context.Context, user string) (key users.Key, secret string, err error)
	List(ctx context.Context, user string) ([]users.Key, error)
	Delete(ctx context.Context, user, accessKeyID string) error
}

// UserSessions is what the server needs of users.Sessions.
type UserSessions interface {
	List(ctx context.Context, user string) ([]users.Session, error)
	Revoke(ctx context.Context, user, id string) error
	RevokeAll(ctx context.Context, user string) error
}

func sessionOf(s users.Session) api.Session {
	return api.Session{ID: s.ID, Kind: s.Kind, AccessKeyID: s.Key, CreationDate: unix(s.Created), ExpirationDate: unix(s.Expires)}
}

func userOf(u users.User) api.User {
	return api.User{ID: u.ID, CreationDate: unix(u.Created), FriendlyName: u.ID}
}

func keyOf(k users.Key) api.Credentials {
	return api.Credentials{AccessKeyID: k.ID, CreationDate: unix(k.Created)}
}

// unix returns seconds since the Unix epoch, 0 if the time is not known.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// ListUsers answers a page of users.
func (h *handlers) ListUsers(w http.ResponseWriter, r *http.Request, params api.ListUsersParams) {
	h.serveList(w, r, params.Amount, perResult, func(ctx context.Context, amount int) (any, error) {
		got, more, err := h.users.List(ctx, params.Prefix, params.After, amount)
		id := func(u users.User) string { return u.ID }
		return api.UserList{Pagination: pagination(got, more, id), Results: convertAll(got, userOf)}, err
	})
}

// CreateUser makes a user without access keys.
func (h *handlers) CreateUser(w http.ResponseWriter, r *http.Request) {
	var body api.UserCreation
	in := jsonBody(into(&body)).about(func(r *access.Request) { r.User = body.ID })
	h.serve(w, r, in, func(ctx context.Context, caller access.Caller) (int, any, error) {
		if body.InviteUser {
			return 0, nil, fault.BadField("invite_user", "true is not supported: this server sends no mail")
		}
		got, err := h.users.Create(ctx, body.ID, users.SourceLocal)
		if err == nil {
			h.log.InfoContext(ctx, "user created", "user", body.ID, "by", caller.User)
		}
		return http.StatusCreated, userOf(got), err
	})
}

// GetUser answers a user.
func (h *handlers) GetUser(w http.ResponseWriter, r *http.Request, user string) {
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		got, err := h.users.Get(ctx, user)
		return http.StatusOK, userOf(got), err
	})
}

// DeleteUser deletes a user with its access keys.
func (h *handlers) DeleteUser(w http.ResponseWriter, r *http.Request, user string) {
	h.serve(w, r, input{}, func(ctx context.Context, caller access.Caller) (int, any, error) {
		err := h.users.Delete(ctx, user)
		if err == nil {
			h.log.InfoContext(ctx, "user deleted", "user", user, "by", caller.User)
		}
		return http.StatusNoContent, nil, err
	})
}

// ListUserCredentials answers a page of the access keys of a user.
func (h *handlers) ListUserCredentials(w http.ResponseWriter, r *http.Request, user string, params api.ListUserCredentialsParams) {
	h.serveList(w, r, params.Amount, perResult, func(ctx context.Context, amount int) (any, error) {
		keys, err := h.keys.List(ctx, user)
		id := func(k users.Key) string { return k.ID }
		slices.SortFunc(keys, func(a, b users.Key) int { return strings.Compare(a.ID, b.ID) })
		page, more := selection[users.Key]{params.Prefix, params.After, amount, id}.of(keys)
		return api.CredentialsList{Pagination: pagination(page, more, id), Results: convertAll(page, keyOf)}, err
	})
}

// CreateCredentials makes an access key. No other answer has its secret.
func (h *handlers) CreateCredentials(w http.ResponseWriter, r *http.Request, user string) {
	h.serve(w, r, input{}, func(ctx context.Context, caller access.Caller) (int, any, error) {
		key, secret, err := h.keys.Create(ctx, user)
		noted(w).accessKeyID = key.ID
		if err == nil {
			h.log.InfoContext(ctx, "access key created", "user", user, "access_key_id", key.ID, "by", caller.User)
		}
		return http.StatusCreated, api.CredentialsWithSecret{AccessKeyID: key.ID, SecretAccessKey: secret, CreationDate: unix(key.Created)}, err
	})
}

// GetCredentials answers an access key of a user, without its secret.
func (h *handlers) GetCredentials(w http.ResponseWriter, r *http.Request, user, accessKeyID string) {
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		keys, err := h.keys.List(ctx, user)
		if err != nil {
			return 0, nil, err
		}
		i := slices.IndexFunc(keys, func(k users.Key) bool { return k.ID == accessKeyID })
		if i < 0 {
			return 0, nil, fault.Missing("access key")
		}
		return http.StatusOK, keyOf(keys[i]), nil
	})
}

// DeleteCredentials revokes an access key of a user.
func (h *handlers) DeleteCredentials(w http.ResponseWriter, r *http.Request, user, accessKeyID string) {
	h.serve(w, r, input{}, func(ctx context.Context, caller access.Caller) (int, any, error) {
		err := h.keys.Delete(ctx, user, accessKeyID)
		if err == nil {
			h.log.InfoContext(ctx, "access key revoked", "user", user, "access_key_id", accessKeyID, "by", caller.User)
		}
		return http.StatusNoContent, nil, err
	})
}

// ListUserSessions answers the sessions of a user.
func (h *handlers) ListUserSessions(w http.ResponseWriter, r *http.Request, user string) {
	h.serve(w, r, input{}, func(ctx context.Context, _ access.Caller) (int, any, error) {
		all, err := h.sessions.List(ctx, user)
		return http.StatusOK, api.SessionList{Results: convertAll(all, sessionOf)}, err
	})
}

// DeleteUserSessions revokes all sessions of a user.
func (h *handlers) DeleteUserSessions(w http.ResponseWriter, r *http.Request, user string) {
	h.serve(w, r, input{}, func(ctx context.Context, caller access.Caller) (int, any, error) {
		err := h.sessions.RevokeAll(ctx, user)
		if err == nil {
			h.log.InfoContext(ctx, "all sessions revoked", "user", user, "by", caller.User)
		}
		return http.StatusNoContent, nil, err
	})
}

// DeleteUserSession revokes a session of a user.
func (h *handlers) DeleteUserSession(w http.ResponseWriter, r *http.Request, user, id string) {
	h.serve(w, r, input{}, func(ctx context.Context, caller access.Caller) (int, any, error) {
		err := h.sessions.Revoke(ctx, user, id)
		if err == nil {
			h.log.InfoContext(ctx, "session revoked", "user", user, "by", caller.User)
		}
		return http.StatusNoContent, nil, err
	})
}
