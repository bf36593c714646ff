package polls

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/page"
)

// Poll is one question as visitors see it.
type Poll struct {
	ID       int64
	Question string
	Slug     string
	Closes   db.Time // zero: never
	Votes    int64
	Choices  []Choice
}

// Choice is one answer, with its votes.
type Choice struct {
	ID    int64
	Text  string
	Votes int64
	Mine  bool // whether this visitor chose it
}

// Open reports whether visitors can still vote.
func (p Poll) Open() bool { return p.Closes.IsZero() || db.Now().Before(p.Closes.Time) }

// Voted reports whether this visitor has voted.
func (p Poll) Voted() bool {
	for _, c := range p.Choices {
		if c.Mine {
			return true
		}
	}
	return false
}

// Percent returns a choice's share of all votes.
func (p Poll) Percent(c Choice) int64 {
	if p.Votes == 0 {
		return 0
	}
	return (c.Votes*100 + p.Votes/2) / p.Votes
}

// visible selects the polls of a site that have opened. Its parameters are the site and
// the time.
const visible = `
	SELECT p.id, p.question, p.slug, p.closes_at, (SELECT count(*) FROM polls_vote v WHERE v.poll_id = p.id)
	FROM polls_poll p
	JOIN polls_poll_sites s ON s.poll_id = p.id AND s.site_id = ?
	WHERE p.opens_at <= ?`

func scanPoll(row func(...any) error) (Poll, error) {
	var p Poll
	err := row(&p.ID, &p.Question, &p.Slug, &p.Closes, &p.Votes)
	return p, err
}

// list returns the polls of a site without their choices: open ones first, and newer ones
// before older ones.
func list(ctx context.Context, d *db.DB, site int64) ([]Poll, error) {
	polls, err := db.Collect(ctx, d, scanPoll, visible+" ORDER BY coalesce(p.closes_at <= ?, 0), p.opens_at DESC, p.id DESC LIMIT 100", site, db.Now(), db.Now())
	if err != nil {
		return nil, fmt.Errorf("list polls: %w", err)
	}
	return polls, nil
}

// bySlug returns a poll with its choices, and marks that of voter.
func bySlug(ctx context.Context, d *db.DB, site int64, slug, voter string) (Poll, error) {
	poll, err := scanPoll(d.QueryRowContext(ctx, visible+" AND p.slug = ?", site, db.Now(), slug).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return poll, page.ErrNotFound
	}
	if err != nil {
		return poll, fmt.Errorf("read poll: %w", err)
	}
	poll.Choices, err = db.Collect(ctx, d, func(row func(...any) error) (Choice, error) {
		var c Choice
		err := row(&c.ID, &c.Text, &c.Votes, &c.Mine)
		return c, err
	}, `SELECT c.id, c.text, count(v.id), coalesce(max(v.voter = ?), 0)
		FROM polls_choice c LEFT JOIN polls_vote v ON v.choice_id = c.id
		WHERE c.poll_id = ? GROUP BY c.id ORDER BY c.position, c.id`, voter, poll.ID)
	if err != nil {
		return poll, fmt.Errorf("read choices: %w", err)
	}
	return poll, nil
}

// errNoChoice is returned for a vote that is not for a choice of its poll.
var errNoChoice = errors.New("no such choice")

// cast stores a vote. It replaces an earlier vote of the voter.
func cast(ctx context.Context, d *db.DB, site, poll int64, choice, voter string) error {
	id, err := strconv.ParseInt(choice, 10, 64)
	if err != nil {
		return errNoChoice
	}
	_, err = d.ExecContext(ctx, `INSERT INTO polls_vote (poll_id, choice_id, site_id, voter, voted_at)
		VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (poll_id, voter) DO UPDATE SET
			choice_id = excluded.choice_id, site_id = excluded.site_id, voted_at = excluded.voted_at, version = version + 1`,
		poll, id, site, voter, db.Now())
	if db.IsForeignKey(err) {
		return errNoChoice
	}
	if err != nil {
		return fmt.Errorf("count vote: %w", err)
	}
	return nil
}
