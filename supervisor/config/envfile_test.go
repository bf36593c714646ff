package config

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/multisite/multisite/apps/tomlfile"
)

func TestEnvFile_Values(t *testing.T) {
	t.Parallel()
	dir := project(t)
	write(t, dir+"/conf/site.env", "\ufeff# a comment\r\n\r\n  # another\r\n"+
		`PLAIN=  a b=c\n"d"'`+"\r\n"+`URL=postgres://me:p#w$@db/x`+"\r\nEMPTY=\r\n"+
		`SINGLE='  a # "b" \n $c ' # comment`+"\n"+
		`DOUBLE="  a # 'b' \\ \" \$ \n\tc"`+"\t# comment\n"+
		"OVER=file\n_x9='last'", 0o600)
	write(t, dir+"/conf/site.toml", "[site.blog]\nserver_name = 'b'\nsettings = 'project.blog'\nenv_file = 'site.env'\nenv = { OVER = 'env' }\n", 0o600)
	c := mustLoad(t, dir, "include = ['conf/*.toml']\n[defaults.env]\nOVER = 'defaults'\nDEFAULT = 'kept'\nPLAIN = 'defaults'\n")
	want := map[string]string{
		"PLAIN": `a b=c\n"d"'`, "URL": "postgres://me:p#w$@db/x", "EMPTY": "", "SINGLE": `  a # "b" \n $c `,
		"DOUBLE": "  a # 'b' \\ \" $ \n\tc", "OVER": "env", "_x9": "last", "DEFAULT": "kept",
	}
	if got := c.Sites[0].Env; !maps.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestEnvFile_Problems: a message has the line of the mistake, but never a value.
func TestEnvFile_Problems(t *testing.T) {
	t.Parallel()
	dir := project(t)
	write(t, dir+"/site.env", strings.Join([]string{
		"SECRET", "export A=SECRET", "A B=SECRET", "A =SECRET", "A='SECRET", `B="SECRET`, `C="SECRET" SECRET`,
		"D=SECRET # SECRET", `E="SECRET\x"`, "F=SECRET\xff", "G=SECRET\x00", "H=1", "H=SECRET", "=SECRET", `I="SECRET\`,
	}, "\n"), 0o600)
	_, err := Parse(dir+"/sites.toml", []byte("[site.x]\nserver_name = 'x'\nsettings = 'a.b'\nenv_file = 'site.env'\n"))
	at := "site.env:"
	wantReport(t, dir, err,
		at+`1: site.x.env_file: a line without "=" [write NAME=VALUE; a comment begins with #]`,
		at+`2: site.x.env_file: this file is not a shell script [write NAME=VALUE, without "export"]`,
		at+`3: site.x.env_file: not a name before "=" [a name has letters, digits and _, and no blanks around it]`,
		at+`4: site.x.env_file: not a name before "=" [a name has letters, digits and _, and no blanks around it]`,
		at+`5: site.x.env_file: the quote does not end in this line`,
		at+`6: site.x.env_file: the quote does not end in this line [these are known: \\ \" \$ \n \r \t]`,
		at+`7: site.x.env_file: something follows the closing quote`,
		at+`8: site.x.env_file: a # after a blank: a comment, or part of the value? [put the value in quotes, or the comment on a line of its own]`,
		at+`9: site.x.env_file: an unknown escape [these are known: \\ \" \$ \n \r \t]`,
		at+`10: site.x.env_file: not text in UTF-8`,
		at+`11: site.x.env_file: not text in UTF-8`,
		at+`13: site.x.env_file: H is set twice, first in line 12`,
		at+`14: site.x.env_file: not a name before "=" [a name has letters, digits and _, and no blanks around it]`,
		at+`15: site.x.env_file: an unknown escape [these are known: \\ \" \$ \n \r \t]`,
	)
	if problems, _ := errors.AsType[tomlfile.Problems](err); strings.Contains(problems.Error(), "SECRET") {
		t.Errorf("a message has a value:\n%v", problems)
	}
	for file, want := range map[string]string{"nothing.env": "cannot be read: open DIR/nothing.env: no such file or directory", "bin": "not a file: DIR/bin"} {
		_, err := Parse(dir+"/sites.toml", []byte("[site.x]\nserver_name = 'x'\nsettings = 'a.b'\nenv_file = '"+file+"'\n"))
		wantReport(t, dir, err, "sites.toml:4: site.x.env_file: "+want)
	}
}
