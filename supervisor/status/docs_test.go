package status

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the table of docs/status.md")

const (
	docs  = "../../docs/status.md"
	begin = "<!-- written by: go test ./supervisor/status -update -->\n"
	end   = "<!-- end of what is written -->\n"
)

// TestDocs: docs/status.md describes each value of the JSON, with its type, and no other.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), begin)
	got, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", docs)
	}
	want := "| value | type | meaning |\n|---|---|---|\n" + schema(t)
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("the table is out of date: go test ./supervisor/status -update\ngot\n%s\nwant\n%s", got, want)
	}
	if err := os.WriteFile(docs, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDocs_NameWhatIsEncoded: what is encoded is what the table says.
func TestDocs_NameWhatIsEncoded(t *testing.T) {
	t.Parallel()
	var st Status
	fill(reflect.ValueOf(&st).Elem())
	b, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	encoded := map[string]string{}
	shape("", v, encoded)
	for line := range strings.Lines(schema(t)) {
		f := strings.Split(line, " | ")
		path, kind := strings.Trim(f[0], "| `"), f[1]
		if strings.HasPrefix(kind, "object") {
			continue
		}
		if kind == "memory" {
			for _, part := range []string{"pss", "uss", "rss"} {
				if encoded[path+"."+part] != "number" {
					t.Errorf("%s has no %s", path, part)
				}
				delete(encoded, path+"."+part)
			}
			continue
		}
		if !strings.HasPrefix(kind, encoded[path]) || encoded[path] == "" {
			t.Errorf("%s is encoded as %q, described as %q", path, encoded[path], kind)
		}
		delete(encoded, path)
	}
	if len(encoded) > 0 {
		t.Errorf("not described: %v", encoded)
	}
}

// fill gives every field a value that is not omitted.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	}
}

// shape collects the kind of each value, by its path.
func shape(path string, v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			shape(strings.TrimPrefix(path+"."+key, "."), value, into)
		}
	case []any:
		if _, plain := v[0].(map[string]any); !plain {
			into[path] = "list"
			return
		}
		shape(path+"[]", v[0], into)
	case string:
		into[path] = "text"
		if _, err := time.Parse(time.RFC3339, v); err == nil {
			into[path] = "time"
		}
	case float64:
		into[path] = "number"
	case bool:
		into[path] = "true or false"
	case nil:
		into[path] = "map"
	}
}

// schema returns the rows of the table, from the fields and comments of this package.
func schema(t *testing.T) string {
	t.Helper()
	types := map[string]*ast.StructType{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if fields, ok := spec.Type.(*ast.StructType); ok {
					types[spec.Name.Name] = fields
				}
			}
			return true
		})
	}
	var b strings.Builder
	describe(&b, types, "Status", "")
	return b.String()
}

// describe writes a row for each field of a type.
func describe(b *strings.Builder, types map[string]*ast.StructType, of, path string) {
	for _, f := range types[of].Fields.List {
		if f.Names == nil {
			describe(b, types, f.Type.(*ast.Ident).Name, path)
			continue
		}
		name, options, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
		name = path + name
		inner, kind := kindOf(f.Type)
		meaning := strings.TrimSpace(f.Comment.Text())
		if meaning == "" {
			meaning = strings.TrimSpace(f.Doc.Text())
		}
		if options != "" && !strings.Contains(meaning, "absent") {
			meaning += "; absent if it is nothing"
		}
		if types[inner] != nil {
			if kind == "list" {
				name += "[]"
			}
			if inner == "Memory" { // the page explains it once
				fmt.Fprintf(b, "| `%s` | memory | %s |\n", name, meaning)
				continue
			}
			if meaning != "" {
				fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, strings.Replace(kind, "list", "objects", 1), meaning)
			}
			describe(b, types, inner, name+".")
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, kind, strings.ReplaceAll(strings.ReplaceAll(meaning, "\n", " "), "|", "\\|"))
	}
}

// kindOf returns the type of a field that is or holds a struct, and how it is encoded.
func kindOf(e ast.Expr) (inner, kind string) {
	switch e := e.(type) {
	case *ast.StarExpr:
		inner, kind = kindOf(e.X)
		return inner, kind + " or null"
	case *ast.ArrayType:
		inner, _ = kindOf(e.Elt)
		return inner, "list"
	case *ast.MapType:
		return "", "map"
	case *ast.SelectorExpr:
		return "", "time"
	case *ast.Ident:
		switch e.Name {
		case "string":
			return "", "text"
		case "bool":
			return "", "true or false"
		case "int", "int64", "float64":
			return "", "number"
		}
		return e.Name, "object"
	}
	return "", ""
}
