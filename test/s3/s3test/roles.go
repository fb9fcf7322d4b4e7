package s3test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// CreateRole creates a role on a Ceph gateway, which the user of the server may assume and
// which may do everything with all buckets of the user. It returns the ARN. MinIO has no roles:
// there, any ARN stands for the user itself.
func (s Server) CreateRole(ctx context.Context, name string) (arn string, err error) {
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam:::user/%s"]},"Action":["sts:AssumeRole"]}]}`, s.AccessKeyID)
	if err := s.iam(ctx, url.Values{"Action": {"CreateRole"}, "RoleName": {name}, "Path": {"/"}, "AssumeRolePolicyDocument": {trust}}); err != nil {
		return "", err
	}
	const all = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}`
	err = s.iam(ctx, url.Values{"Action": {"PutRolePolicy"}, "RoleName": {name}, "PolicyName": {"all"}, "PolicyDocument": {all}})
	return "arn:aws:iam:::role/" + name, err
}

// iam calls an action of IAM.
func (s Server) iam(ctx context.Context, action url.Values) error {
	body := action.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Endpoint+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	request.Header.Set("X-Amz-Content-Sha256", hash)
	as := aws.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey}
	if err := v4.NewSigner().SignHTTP(ctx, as, request, hash, "iam", "us-east-1", time.Now()); err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s (%w)", action.Get("Action"), answer.Status, text, err)
	}
	return nil
}
