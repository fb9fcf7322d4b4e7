package s3store

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/aws/smithy-go/logging"
)

// sdkLogger returns a logger for the SDK's messages, which would otherwise go to stderr.
// They do not contain requests, which would reveal session tokens and signatures: nothing
// here sets an aws.ClientLogMode.
func sdkLogger(log *slog.Logger) logging.Logger {
	if log == nil {
		log = slog.Default()
	}
	return logging.LoggerFunc(func(class logging.Classification, format string, v ...any) {
		level := slog.LevelDebug
		if class == logging.Warn {
			level = slog.LevelWarn
		}
		log.Log(context.Background(), level, "aws sdk", "notice", fmt.Sprintf(format, v...))
	})
}
