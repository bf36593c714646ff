package traceback

import "testing"

const chained = `Traceback (most recent call last):
  File "/srv/shop/settings.py", line 3, in <module>
    SECRET = os.environ["SECRET"]
             ~~~~~~~~~~^^^^^^^^^^
  File "<frozen os>", line 717, in __getitem__
KeyError: 'SECRET'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/usr/lib/python3.11/importlib/__init__.py", line 126, in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/venv/lib/python3.11/site-packages/django/conf/__init__.py", line 4, in __init__
    mod = import_module()
  File "/srv/shop/settings.py", line 7, in <module>
    raise ImproperlyConfigured("no secret") from error
django.core.exceptions.ImproperlyConfigured: no secret
`

const ownOfChained = `Traceback (most recent call last):
  File "/srv/shop/settings.py", line 3, in <module>
    SECRET = os.environ["SECRET"]
             ~~~~~~~~~~^^^^^^^^^^
  … 1 of other code
KeyError: 'SECRET'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  … 2 of other code
  File "/srv/shop/settings.py", line 7, in <module>
    raise ImproperlyConfigured("no secret") from error
django.core.exceptions.ImproperlyConfigured: no secret
`

const syntax = `Traceback (most recent call last):
  File "/usr/lib/python3.11/importlib/__init__.py", line 126, in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
  File "/srv/shop/urls.py", line 9
    if x
        ^
SyntaxError: expected ':'
`

const ofOthers = `Traceback (most recent call last):
  File "/usr/lib/python3.11/importlib/__init__.py", line 126, in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
ModuleNotFoundError: No module named 'shpo'
`

func TestOrigin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text, file string
		line             int
	}{
		{"the last own frame", chained, "/srv/shop/settings.py", 7},
		{"a file that does not parse", syntax, "/srv/shop/urls.py", 9},
		{"no own frame", ofOthers, "", 0},
		{"no traceback", "exit status 1", "", 0},
		{"nothing", "", "", 0},
		{"a line that is no number", "  File \"/x\", line 99999999999999999999, in y", "/x", 1<<63 - 1},
	} {
		if file, line := Origin(test.text); file != test.file || line != test.line {
			t.Errorf("%s: got %s:%d, want %s:%d", test.name, file, line, test.file, test.line)
		}
	}
}

func TestOwn(t *testing.T) {
	t.Parallel()
	if got := Own(chained); got != ownOfChained {
		t.Errorf("got\n%s\nwant\n%s", got, ownOfChained)
	}
	for _, text := range []string{ofOthers, "exit status 1", ""} {
		if got := Own(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func FuzzOwn(f *testing.F) {
	for _, text := range []string{chained, syntax, ofOthers, "", "  File \"\", line 0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := Own(Own(text)); got != Own(text) {
			t.Errorf("%q changes again: %q", text, got)
		}
	})
}
