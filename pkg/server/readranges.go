package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// rangesField is the only field of an api.MetaRangeCreation.
const rangesField = "ranges"

// readRanges is decode for an api.MetaRangeCreation. It reads one range at a time, so that
// the body, which may be larger than any other, is never in memory as a whole.
func readRanges(body io.Reader) (ranges []partition.RangeMetadata, err error) {
	dec := json.NewDecoder(body)
	if err := delimiter(dec, '{', "", "an object"); err != nil {
		return nil, err
	}
	given, twice := false, false
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, garbled(dec, err)
		}
		name, _ := token.(string)
		if err := checkField([]string{rangesField}, name, twice, ""); err != nil {
			return nil, err
		}
		if name == rangesField {
			ranges, err = readList(dec)
			given, twice = ranges != nil, true
		} else {
			_, err = nextValue(dec, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil { // '}'
		return nil, garbled(dec, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("more follows the object")
		}
		return nil, garbled(dec, err)
	}
	if !given {
		return nil, fault.BadField(rangesField, missing)
	}
	return ranges, nil
}

// readList reads the array of ranges. It returns nil if there is null instead.
func readList(dec *json.Decoder) ([]partition.RangeMetadata, error) {
	if err := delimiter(dec, '[', rangesField, "an array"); err != nil {
		if errors.Is(err, errNull) {
			err = nil
		}
		return nil, err
	}
	ranges := []partition.RangeMetadata{}
	var raw json.RawMessage
	for dec.More() {
		if err := limits.Count(rangesField, len(ranges)+1, limits.Ranges); err != nil {
			return nil, err
		}
		var err error
		if raw, err = nextValue(dec, raw); err != nil {
			return nil, err
		}
		if err := check(raw, reflect.TypeFor[api.RangeMetadata](), fmt.Sprintf("ranges[%d]", len(ranges))); err != nil {
			return nil, err
		}
		var m api.RangeMetadata
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, malformed(err)
		}
		ranges = append(ranges, partition.RangeMetadata{
			ID: m.ID, MinKey: m.MinKey, MaxKey: m.MaxKey, Count: m.Count, EstimatedSize: m.EstimatedSize,
		})
	}
	if _, err := dec.Token(); err != nil { // ']'
		return nil, garbled(dec, err)
	}
	return ranges, nil
}

// errNull says that a value is null.
var errNull = errors.New("null")

// delimiter reads the delimiter that an object or an array begins with.
func delimiter(dec *json.Decoder, want json.Delim, field, kind string) error {
	switch got, err := dec.Token(); {
	case errors.Is(err, io.EOF) && field == "":
		return fault.BadField("", missing)
	case err != nil:
		return garbled(dec, err)
	case got == nil && field != "":
		return errNull
	case got != want:
		return fault.BadField(field, "must be %s", kind)
	}
	return nil
}

// nextValue reads a value into raw, and refuses text that encoding/json would change.
func nextValue(dec *json.Decoder, raw json.RawMessage) (json.RawMessage, error) {
	if err := dec.Decode(&raw); err != nil {
		return nil, garbled(dec, err)
	}
	if !utf8.Valid(raw) {
		return nil, fault.BadField("", "not valid UTF-8")
	}
	if loneSurrogate(raw) {
		return nil, fault.BadField("", "a string holds an unpaired surrogate")
	}
	return raw, nil
}

// garbled returns the fault of a body that is not JSON.
func garbled(dec *json.Decoder, err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("unexpected end of JSON input")
	}
	return fault.BadField("", "malformed JSON at byte %d: %v", dec.InputOffset(), err)
}
