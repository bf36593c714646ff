package apps_test

import (
	"net/http"
	"testing"
)

func newPolls(t testing.TB) project {
	t.Helper()
	p := newProject(t)
	p.load("polls_poll", row{"id": 1, "question": "Tea or coffee?", "slug": "drinks", "opens_at": "2026-01-01T00:00:00Z"},
		row{"id": 2, "question": "Too late?", "slug": "late", "opens_at": "2026-01-01T00:00:00Z", "closes_at": "2026-01-02T00:00:00Z"},
		row{"id": 3, "question": "Elsewhere?", "slug": "elsewhere", "opens_at": "2026-01-01T00:00:00Z"})
	p.load("polls_poll_sites", row{"poll_id": 1, "site_id": 2}, row{"poll_id": 2, "site_id": 2}, row{"poll_id": 3, "site_id": 1})
	p.load("polls_choice", row{"id": 1, "poll_id": 1, "text": "Tea"}, row{"id": 2, "poll_id": 1, "text": "Coffee"}, row{"id": 3, "poll_id": 2, "text": "Yes"})
	return p
}

func TestPolls_OneVotePerVisitor(t *testing.T) {
	t.Parallel()
	p := newPolls(t)
	v := p.visitor(site2)
	v.get("/").want(t, http.StatusOK, "Tea or coffee?", "0 votes")
	v.get("/").lacks(t, "Elsewhere?")
	v.get("/drinks").lacks(t, "Results")
	v.post("/drinks", "choice", "1").want(t, http.StatusSeeOther)
	v.get("/drinks").want(t, http.StatusOK, "Your vote is counted.", "Change my vote", "1 vote", "(100 %)")
	v.post("/drinks", "choice", "2").want(t, http.StatusSeeOther)
	if got := p.query("SELECT count(*) || ' for ' || max(choice_id) FROM polls_vote"); got != "1 for 2" {
		t.Errorf("a visitor who voted again has %s", got)
	}
	p.visitor(site2).post("/drinks", "choice", "2").want(t, http.StatusSeeOther)
	if got := p.query("SELECT count(*) FROM polls_vote WHERE choice_id = 2 AND site_id = 2"); got != "2" {
		t.Errorf("two visitors have %s votes", got)
	}
}

func TestPolls_AUserHasOneVoteInEveryBrowser(t *testing.T) {
	t.Parallel()
	p := newPolls(t)
	p.user(1, testUser, 0, 0)
	for range 2 {
		v := p.visitor(site2)
		v.logIn(testUser)
		v.post("/drinks", "choice", "1").want(t, http.StatusSeeOther)
	}
	if got := p.query("SELECT count(*) FROM polls_vote"); got != "1" {
		t.Errorf("one user has %s votes", got)
	}
}

func TestPolls_RefusesWhatIsNoVote(t *testing.T) {
	t.Parallel()
	p := newPolls(t)
	v := p.visitor(site2)
	for _, choice := range []string{"", "3", "99", "x", "1; DROP TABLE polls_vote"} {
		form := []string{"choice", choice}
		if choice == "" {
			form = nil
		}
		v.post("/drinks", form...).want(t, http.StatusUnprocessableEntity, "Choose one of the answers.")
	}
	v.post("/late", "choice", "3").want(t, http.StatusSeeOther)
	v.get("/late").want(t, http.StatusOK, "This poll has closed.", "This poll closed on", "Results")
	v.post("/elsewhere", "choice", "1").want(t, http.StatusNotFound)
	if got := p.query("SELECT count(*) FROM polls_vote"); got != "0" {
		t.Errorf("%s votes were counted", got)
	}
}
