// Command synths3 serves the synthetic S3 of package synths3: generated buckets such as
// hive-10m, and the writable buckets that -buckets names.
//
// It prints its URL once it listens, and its counters when it is interrupted. Flags set the
// faults that it injects, and PUT /_synths3/faults changes them while it runs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/keyset"
)

func main() { measure.Main("synths3", run) }

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("synths3", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9300", "`address` to listen on; port 0 is any free port")
	buckets := flags.String("buckets", "ns", "comma-separated `names` of writable buckets")
	keep := flags.Int64("keep", 1<<30, "`bytes` of written objects to keep; further objects cannot be read back")
	bare := flags.Bool("bare", false, "leave out the checksum elements that AWS lists")
	shapes := flags.Bool("shapes", false, "print the shapes of generated buckets and exit")
	faults := faultFlags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *shapes {
		for _, s := range keyset.Shapes() {
			fmt.Fprintf(out, "%-10s %s\n", s.Name, s.About)
		}
		return nil
	}
	s := synths3.New(synths3.Config{Buckets: strings.Split(*buckets, ","), KeepBytes: *keep, Bare: *bare})
	if err := s.SetFaults(faults()); err != nil {
		return err
	}
	return serve(ctx, s, *listen, out)
}

// faultFlags declares a flag for every fault, and returns a function that reads them.
func faultFlags(flags *flag.FlagSet) func() synths3.Faults {
	var f synths3.Faults
	quirks := flags.String("quirks", "", "comma-separated `names` of quirks of real stores: "+fmt.Sprint(synths3.Quirks()))
	flags.Uint64Var(&f.Seed, "seed", 1, "`seed` that decides which calls meet which faults")
	flags.Int64Var(&f.Stall.Index, "stall-index", 0, "`index` of a key; pages that list it take -stall-for")
	flags.DurationVar(&f.Stall.For.Duration, "stall-for", 0, "time that such a page takes; 0 for no longer than others")
	flags.Float64Var(&f.QuirkShare, "quirk-share", 0, "`share` of pages that have the quirks; 0 for all")
	callFlags(flags, &f.List, "", "LIST calls")
	callFlags(flags, &f.Objects, "object-", "calls about objects")
	return func() synths3.Faults {
		f.Quirks = synths3.ParseQuirks(*quirks)
		return f
	}
}

func callFlags(flags *flag.FlagSet, c *synths3.Call, prefix, calls string) {
	flags.DurationVar(&c.Latency.Base.Duration, prefix+"latency", 0, "latency of "+calls)
	flags.DurationVar(&c.Latency.Spread.Duration, prefix+"spread", 0, "largest deviation from that latency, evenly distributed")
	flags.Float64Var(&c.Latency.Tail, prefix+"tail", 0, "`share` of "+calls+" with additional latency")
	flags.DurationVar(&c.Latency.TailMean.Duration, prefix+"tail-mean", 0, "mean of the additional latency, exponentially distributed")
	flags.Float64Var(&c.SlowDown, prefix+"slowdown", 0, "`share` of "+calls+" answered 503 SlowDown")
	flags.Float64Var(&c.Reset, prefix+"reset", 0, "`share` of "+calls+" whose connection is reset")
	flags.Float64Var(&c.Cut, prefix+"cut", 0, "`share` of "+calls+" whose response body is cut short")
	flags.Int64Var(&c.MaxInFlight, prefix+"max-in-flight", 0, "most "+calls+" in flight; further ones are answered 503; 0 for no limit")
	flags.Float64Var(&c.MaxRate, prefix+"max-rate", 0, "most "+calls+" per second; further ones are answered 503; 0 for no limit")
}

// serve serves until ctx ends, and then prints the counters.
func serve(ctx context.Context, s *synths3.Server, listen string, out io.Writer) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", listen, err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Fprintf(out, "http://%s\n", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return json.NewEncoder(out).Encode(s.Counters())
}
