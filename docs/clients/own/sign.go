// Signs one request with the scheme HMAC-SHA256 and sends it. Needs Go 1.18 and nothing else.
//
//	go run sign.go URL METHOD KEY_ID SECRET_FILE [BODY]
package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sort"
	"strings"
	"time"
)

// sign sets Authorization. The headers of these names are signed too; each may stand in the request once.
func sign(request *http.Request, keyID string, secret []byte, body string, names ...string) {
	host := strings.ToLower(request.URL.Host)
	if request.URL.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	// Nothing is decoded, nothing is sorted: the target is signed as it is sent.
	path, query, found := strings.Cut(request.URL.RequestURI(), "?")
	if found {
		query = "?" + query
	}
	timestamp := fmt.Sprint(time.Now().Unix())
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		log.Fatal(err)
	}
	nonce := hex.EncodeToString(random)
	sort.Strings(names) // in lower case
	list := strings.Join(names, ";")
	lines := []string{"portcullis-hmac-sha256-v1", request.Method, host, path, query, timestamp, nonce, keyID, list}
	for _, name := range names {
		lines = append(lines, name+":"+strings.TrimSpace(request.Header.Get(name)))
	}
	digest := sha256.Sum256([]byte(body))
	lines = append(lines, hex.EncodeToString(digest[:]))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(strings.Join(lines, "\n")))
	if list != "" {
		list = "SignedHeaders=" + list + ", "
	}
	request.Header.Set("Authorization", fmt.Sprintf("HMAC-SHA256 KeyId=%s, %sTimestamp=%s, Nonce=%s, Signature=%x",
		keyID, list, timestamp, nonce, mac.Sum(nil)))
}

func main() {
	url, method, keyID, body := os.Args[1], os.Args[2], os.Args[3], ""
	secret, err := os.ReadFile(os.Args[4])
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
	var names []string
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
		names = append(names, "content-type")
	} else if method == "DELETE" {
		// Over HTTP/2, Go does not tell the gateway that a DELETE has no body, unless it has an empty one.
		request.Body = io.NopCloser(strings.NewReader(""))
	}
	sign(request, keyID, []byte(strings.TrimRight(string(secret), "\r\n")), body, names...)
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
