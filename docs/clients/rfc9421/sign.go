// Signs one request by RFC 9421 (HTTP Message Signatures) and sends it. Needs Go 1.18 and nothing else.
//
//	go run sign.go URL METHOD KEY_ID KEY_FILE [BODY]
//
// KEY_FILE holds a shared secret (hmac-sha256), or an Ed25519 private key in PEM (ed25519).
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

// sign adds the three headers.
func sign(request *http.Request, keyID string, key []byte, body string) error {
	host := strings.ToLower(request.URL.Host)
	if request.URL.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	// Nothing is decoded, nothing is sorted: the target is signed as it is sent.
	path, query, _ := strings.Cut(request.URL.RequestURI(), "?")
	sum := sha256.Sum256([]byte(body))
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return err
	}
	params := fmt.Sprintf(`("@method" "@authority" "@path" "@query" "content-digest");created=%d;keyid="%s";nonce="%x"`,
		time.Now().Unix(), keyID, nonce)
	// The signature base of RFC 9421 section 2.5.
	base := fmt.Sprintf("\"@method\": %s\n\"@authority\": %s\n\"@path\": %s\n\"@query\": ?%s\n\"content-digest\": %s\n\"@signature-params\": %s",
		request.Method, host, path, query, digest, params)
	var signature []byte
	if block, _ := pem.Decode(key); block != nil {
		private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return err
		}
		ed, ok := private.(ed25519.PrivateKey)
		if !ok {
			return fmt.Errorf("the key is not an Ed25519 key")
		}
		signature = ed25519.Sign(ed, []byte(base))
	} else {
		mac := hmac.New(sha256.New, bytes.TrimRight(key, "\r\n"))
		mac.Write([]byte(base))
		signature = mac.Sum(nil)
	}
	request.Header.Set("Content-Digest", digest)
	request.Header.Set("Signature-Input", "sig1="+params)
	request.Header.Set("Signature", "sig1=:"+base64.StdEncoding.EncodeToString(signature)+":")
	return nil
}

func main() {
	url, method, keyID, body := os.Args[1], os.Args[2], os.Args[3], ""
	key, err := os.ReadFile(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	if len(os.Args) > 5 {
		body = os.Args[5]
	}
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	} else if method == "DELETE" {
		// Over HTTP/2, Go does not tell the gateway that a DELETE has no body, unless it has an empty one.
		request.Body = io.NopCloser(strings.NewReader(""))
	}
	if err := sign(request, keyID, key, body); err != nil {
		log.Fatal(err)
	}
	// A signature is for one URL: Transport, unlike Client, does not follow a redirect.
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d\n%s\n", answer.StatusCode, text)
}
