package otlp

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/rangefleet/rangefleet/pkg/redact"
)

// Values of OTEL_EXPORTER_OTLP_PROTOCOL.
const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

// environment is what this package reads of the environment itself. The SDK and its exporters
// read the rest. They print values that they do not understand, a header with a token too; so
// these are checked here before.
type environment struct {
	on       bool
	protocol string
	sampler  sdktrace.Sampler
	queue    int           // spans that may wait
	batch    int           // spans of an export
	delay    time.Duration // between exports
}

func readEnvironment(getenv func(string) string) (e environment, err error) {
	read := reader{getenv}
	if strings.EqualFold(read.of("OTEL_SDK_DISABLED"), "true") {
		return environment{}, nil
	}
	if e.on, err = read.isOn(); err != nil || !e.on {
		return environment{}, err
	}
	for _, check := range []func() error{
		func() (err error) { e.protocol, err = read.protocol(); return err },
		func() error { return read.endpoint("OTEL_EXPORTER_OTLP_ENDPOINT") },
		func() error { return read.endpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") },
		func() error { return read.headers("OTEL_EXPORTER_OTLP_HEADERS") },
		func() error { return read.headers("OTEL_EXPORTER_OTLP_TRACES_HEADERS") },
		func() (err error) { e.sampler, err = read.sampler(); return err },
		func() (err error) { e.queue, err = read.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1<<16); return err },
		func() (err error) {
			e.batch, err = read.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 1<<16)
			return err
		},
		func() error {
			ms, err := read.number("OTEL_BSP_SCHEDULE_DELAY", 1000, 600_000) // what a killed process loses
			e.delay = time.Duration(ms) * time.Millisecond
			return err
		},
	} {
		if err := check(); err != nil {
			return environment{}, err
		}
	}
	return e, nil
}

type reader struct{ getenv func(string) string }

// of returns the value of a variable; an empty one counts as not set.
func (r reader) of(name string) string { return strings.TrimSpace(r.getenv(name)) }

// isOn reports whether the environment names an exporter or an endpoint. The standard's default,
// an exporter to this host, would have every process look for a collector.
func (r reader) isOn() (bool, error) {
	switch exporter := r.of("OTEL_TRACES_EXPORTER"); exporter {
	case "":
		return r.of("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || r.of("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "", nil
	case "none":
		return false, nil
	case "otlp":
		return true, nil
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER: %q is neither otlp nor none", exporter)
	}
}

func (r reader) protocol() (string, error) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch value := r.of(name); value {
		case "":
		case protocolGRPC, protocolHTTP:
			return value, nil
		default:
			return "", fmt.Errorf("%s: %q is neither %s nor %s", name, value, protocolGRPC, protocolHTTP)
		}
	}
	return protocolHTTP, nil
}

func (r reader) endpoint(name string) error {
	value := r.of(name)
	if value == "" {
		return nil
	}
	if u, err := url.Parse(value); err != nil || u.Host == "" || !slices.Contains([]string{"http", "https"}, u.Scheme) {
		return fmt.Errorf("%s: %q is not a URL with http:// or https://", name, redact.URLs(value))
	}
	return nil
}

// headers checks the form of headers. Its error names none of them, as they may be secret.
func (r reader) headers(name string) error {
	value := r.of(name)
	if value == "" {
		return nil
	}
	for i, header := range strings.Split(value, ",") {
		key, text, _ := strings.Cut(header, "=")
		if _, err := url.PathUnescape(text); err != nil || !isToken(strings.TrimSpace(key)) || !strings.Contains(header, "=") {
			return fmt.Errorf("%s: header %d is not name=value, with a percent-encoded value", name, i+1)
		}
	}
	return nil
}

// isToken reports whether a text is a token as HTTP defines the names of headers.
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// sampler returns the sampler of the first span of an import. All others follow that one, so a
// "parentbased" sampler is the same as its plain one.
func (r reader) sampler() (sdktrace.Sampler, error) {
	const name = "OTEL_TRACES_SAMPLER"
	value := cmp.Or(r.of(name), "parentbased_always_on")
	switch strings.TrimPrefix(value, "parentbased_") {
	case "always_on":
		return sdktrace.AlwaysSample(), nil
	case "always_off":
		return sdktrace.NeverSample(), nil
	case "traceidratio":
		ratio, err := r.ratio()
		return sdktrace.TraceIDRatioBased(ratio), err
	}
	return nil, fmt.Errorf("%s: %q is none of always_on, always_off, traceidratio, and these after parentbased_", name, value)
}

func (r reader) ratio() (float64, error) {
	const name = "OTEL_TRACES_SAMPLER_ARG"
	value := cmp.Or(r.of(name), "1")
	ratio, err := strconv.ParseFloat(value, 64)
	if err != nil || !(0 <= ratio && ratio <= 1) {
		return 0, fmt.Errorf("%s: %q is not a number from 0 to 1", name, value)
	}
	return ratio, nil
}

func (r reader) number(name string, otherwise, most int) (int, error) {
	value := r.of(name)
	if value == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%s: %q is not a number from 1 to %d", name, value, most)
	}
	return n, nil
}
