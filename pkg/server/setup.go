package server

import (
	"context"
	"fmt"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth/session"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// HealthCheck answers that the server runs.
func (h *handlers) HealthCheck(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusNoContent, nil)
}

// GetSetupState answers that nothing is left to set up, and how to log in.
func (h *handlers) GetSetupState(w http.ResponseWriter, _ *http.Request) {
	c := api.LoginConfig{RBAC: "external", LoginURLMethod: api.None, LogoutURL: logoutPath}
	if len(h.links) > 0 {
		c.LoginURL, c.LoginURLMethod = h.links[0].Path, api.Select
	}
	for _, kind := range session.Kinds() {
		c.LoginCookieNames = append(c.LoginCookieNames, string(kind))
	}
	answer(w, http.StatusOK, api.SetupState{State: api.Initialized, LoginConfig: c})
}

// GetAuthCapabilities answers that there is neither mail nor a password.
func (h *handlers) GetAuthCapabilities(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, api.AuthCapabilities{})
}

// Setup refuses to make a first user.
func (h *handlers) Setup(w http.ResponseWriter, _ *http.Request) {
	refuse(w, http.StatusConflict, "lakeFS already initialized") // as lakeFS says it
}

// PostStatsEvents ignores what clients of lakeFS tell of their use.
func (h *handlers) PostStatsEvents(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, jsonBody(checkStats), func(context.Context, access.Caller) (int, any, error) {
		return http.StatusNoContent, nil, nil
	})
}

// checkStats refuses the events that lakeFS refuses.
func checkStats(data []byte) error {
	list, err := decode[api.StatsEventsList](data)
	if err != nil {
		return err
	}
	for i, e := range list.Events {
		field := fmt.Sprintf("events[%d]", i)
		switch {
		case e.Class == "":
			return fault.BadField(field+".class", missing)
		case e.Name == "":
			return fault.BadField(field+".name", missing)
		case e.Count < 0:
			return fault.BadField(field+".count", "%d is negative", e.Count)
		}
	}
	return nil
}
