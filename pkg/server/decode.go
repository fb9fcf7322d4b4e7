package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/fault"
)

// decode reads one JSON value as a T, a type of package api. Unlike encoding/json, it
// demands every required field, under its exact name, and refuses a field that is there twice, and
// text that encoding/json would change. Fields that T does not have are ignored. Every error is a
// fault that names the field.
func decode[T any](data []byte) (T, error) {
	var v T
	if err := checkText(data); err != nil {
		return v, err
	}
	if err := check(data, reflect.TypeFor[T](), ""); err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, malformed(err)
	}
	return v, nil
}

// checkText refuses what is not JSON, and strings that are not valid Unicode, whose invalid
// parts encoding/json would silently replace.
func checkText(data []byte) error {
	if !utf8.Valid(data) {
		return fault.BadField("", "not valid UTF-8")
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return fault.BadField("", missing)
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return malformed(err)
	}
	if loneSurrogate(data) {
		return fault.BadField("", "a string holds an unpaired surrogate")
	}
	return nil
}

func malformed(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fault.BadField("", "malformed JSON at byte %d: %v", syntax.Offset, err)
	}
	return fault.BadField("", "malformed JSON: %v", err)
}

// loneSurrogate reports whether a \u escape of valid JSON is half of a pair.
func loneSurrogate(data []byte) bool {
	for {
		i := bytes.IndexByte(data, '\\')
		if i < 0 {
			return false
		}
		data = data[i:]
		r, n := escape(data)
		if utf16.IsSurrogate(r) {
			low, m := escape(data[n:])
			if utf16.DecodeRune(r, low) == utf8.RuneError {
				return true
			}
			n += m
		}
		data = data[n:]
	}
}

// escape reads the escape sequence that data starts with. It returns its code unit, if it is
// a \u escape, and its length, 0 if there is none.
func escape(data []byte) (unit rune, n int) {
	if len(data) < 2 || data[0] != '\\' {
		return 0, 0
	}
	if data[1] != 'u' || len(data) < 6 {
		return 0, 2
	}
	u, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	if err != nil {
		return 0, 2
	}
	return rune(u), 6
}

// check compares a JSON value with the type that it will be read as. path names the value
// within the body.
func check(raw json.RawMessage, t reflect.Type, path string) error {
	raw = bytes.TrimSpace(raw)
	if t.Kind() == reflect.Pointer { // to tell what is absent from what is zero
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct:
		return checkObject(raw, t, path)
	case reflect.Map:
		return checkMap(raw, t.Elem(), path)
	case reflect.Slice:
		return checkArray(raw, t.Elem(), path)
	case reflect.String:
		return checkString(raw, t, path)
	case reflect.Bool:
		return checkScalar(raw, t, path, "true or false")
	default:
		return checkScalar(raw, t, path, "a whole number in the range of "+t.Kind().String())
	}
}

func checkObject(raw json.RawMessage, t reflect.Type, path string) error {
	if raw[0] != '{' {
		return fault.BadField(path, "must be an object")
	}
	fields, err := fieldsOf(raw, t, path)
	if err != nil {
		return err
	}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		value, given := fields[name]
		if !given || string(value) == "null" {
			if !strings.Contains(options, "omitempty") {
				return fault.BadField(join(path, name), missing)
			}
			continue
		}
		if err := check(value, f.Type, join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf returns the values of an object that is read as a t, by their names. encoding/json takes a
// field of t from the last one that has its name in letters of any case. Such others are refused, so
// that everybody who reads the object, such as a proxy, reads the same.
func fieldsOf(raw json.RawMessage, t reflect.Type, path string) (map[string]json.RawMessage, error) {
	var known []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known = append(known, name)
	}
	fields := make(map[string]json.RawMessage)
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil {
		return nil, malformed(err)
	}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, malformed(err)
		}
		name, _ := token.(string)
		_, twice := fields[name]
		if err := checkField(known, name, twice, path); err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, malformed(err)
		}
		fields[name] = value
	}
	return fields, nil
}

// checkField refuses the name of a field that encoding/json would take for a known one, if it is
// another name or is there twice.
func checkField(known []string, name string, twice bool, path string) error {
	i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
	switch {
	case i < 0:
		return nil
	case known[i] != name:
		return fault.BadField(join(path, name), "unknown, want %s", known[i])
	case twice:
		return fault.BadField(join(path, name), "is there twice")
	}
	return nil
}

func checkMap(raw json.RawMessage, elem reflect.Type, path string) error {
	var values map[string]json.RawMessage
	if raw[0] != '{' || json.Unmarshal(raw, &values) != nil {
		return fault.BadField(path, "must be an object")
	}
	for name, value := range values {
		if err := check(value, elem, join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func checkArray(raw json.RawMessage, elem reflect.Type, path string) error {
	var values []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &values) != nil {
		return fault.BadField(path, "must be an array")
	}
	for i, value := range values {
		if err := check(value, elem, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

// checkString also checks the values of generated enumerations.
func checkString(raw json.RawMessage, t reflect.Type, path string) error {
	v := reflect.New(t)
	if raw[0] != '"' || json.Unmarshal(raw, v.Interface()) != nil {
		return fault.BadField(path, "must be a string")
	}
	if enum, ok := v.Interface().(interface{ Valid() bool }); ok && !enum.Valid() {
		return fault.BadField(path, "unknown value %q", v.Elem().String())
	}
	return nil
}

func checkScalar(raw json.RawMessage, t reflect.Type, path, want string) error {
	if string(raw) == "null" || json.Unmarshal(raw, reflect.New(t).Interface()) != nil {
		return fault.BadField(path, "must be %s", want)
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
