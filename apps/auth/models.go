package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/multisite/multisite/apps/model"
)

func models() []model.Model {
	return []model.Model{{
		Name: "user", Label: "user", Plural: "users", Table: "auth_user", Title: "username", Superuser: true,
		Fields: []model.Field{
			{Name: "username", Label: "User name", Required: true, Max: 150, Encode: encodeName},
			{Name: "email", Label: "Email", Kind: model.Email},
			{Name: "password", Label: "Password", Kind: model.Secret, Encode: encodePassword,
				Help: fmt.Sprintf("At least %d characters. A new password ends the user's sessions.", minLength)},
			{Name: "is_active", Label: "Active", Kind: model.Bool, Default: "1", Help: "Users who are not active cannot log in."},
			{Name: "is_staff", Label: "Staff", Kind: model.Bool, Help: "May use this admin."},
			{Name: "is_superuser", Label: "Superuser", Kind: model.Bool, Help: "May also change users and sites."},
			{Name: "joined_at", Label: "Joined", Kind: model.Moment, ReadOnly: true},
			{Name: "last_login_at", Label: "Last login", Kind: model.Moment, ReadOnly: true},
		},
		List: []string{"username", "email", "is_active", "is_staff", "is_superuser", "last_login_at"}, Search: []string{"username", "email"}, Order: "username",
		Check: keepSuperuser,
	}}
}

// Ref returns how a model of another app refers to a user.
func Ref() model.Ref { return model.Ref{Table: "auth_user", Title: "username"} }

func encodeName(entered string) (string, error) { return entered, CheckName(entered) }

func encodePassword(entered string) (string, error) { return hashPassword("", entered) }

func keepSuperuser(ctx context.Context, tx *sql.Tx) error {
	has, err := HasSuperuser(ctx, tx)
	if err == nil && !has {
		return errors.New("there must be one active superuser left")
	}
	return err
}
