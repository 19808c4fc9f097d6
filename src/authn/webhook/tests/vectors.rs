//! Requests that the services' own packages signed.

/// One signed request.
pub(super) struct Vector {
    /// The package that signed it.
    pub by: &'static str,
    /// The scheme.
    pub scheme: &'static str,
    /// The secret.
    pub secret: &'static str,
    /// When, in seconds since the epoch.
    pub now: i64,
    /// The method.
    pub method: &'static str,
    /// The address.
    pub url: &'static str,
    /// The headers.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body.
    pub body: &'static str,
}

/// All of them.
pub(super) const VECTORS: &[Vector] = &[
    Vector {
        by: "stripe package for Python",
        scheme: "stripe",
        secret: "whsec_not_a_real_secret_of_anyone",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks",
        headers: &[(
            "stripe-signature",
            "t=1796126400,v1=3f5f5a700bdcfc33387ea596053fafce114d94b77ca67b861ddfb8a4788ba6bf",
        )],
        body: r#"{"id":"evt_1","type":"invoice.paid","note":"Grüße, 東京 ✓!","amount":1200}"#,
    },
    Vector {
        by: "stripe package for Node",
        scheme: "stripe",
        secret: "whsec_not_a_real_secret_of_anyone",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks",
        headers: &[(
            "stripe-signature",
            "t=1796126400,v1=3f5f5a700bdcfc33387ea596053fafce114d94b77ca67b861ddfb8a4788ba6bf",
        )],
        body: r#"{"id":"evt_1","type":"invoice.paid","note":"Grüße, 東京 ✓!","amount":1200}"#,
    },
    Vector {
        by: "slack_sdk",
        scheme: "slack",
        secret: "8f742231b10e8888abcd99edabcd85a5",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks",
        headers: &[
            ("content-type", "application/x-www-form-urlencoded"),
            (
                "x-slack-signature",
                "v0=c274d278cb0cd322d4ef4da235a05053836114d3d06e79bdfba5bb345a06456e",
            ),
            ("x-slack-request-timestamp", "1796126400"),
        ],
        body: "token=x&team_id=T1&text=caf%C3%A9",
    },
    Vector {
        by: "slack_sdk, no body",
        scheme: "slack",
        secret: "8f742231b10e8888abcd99edabcd85a5",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks",
        headers: &[
            (
                "x-slack-signature",
                "v0=6d33b1b6b1cb9f6669d2ea7a4e8b1d14c255009d8a9f74f55ec086c757332eba",
            ),
            ("x-slack-request-timestamp", "1796126400"),
        ],
        body: "",
    },
    Vector {
        by: "GitHubKit",
        scheme: "github",
        secret: "It's a Secret to Everybody",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks",
        headers: &[
            (
                "x-hub-signature-256",
                "sha256=6bc77715d2f393bd7693a6f1bcfc730abf9603553b4a58583cc1bc105b35983a",
            ),
            (
                "x-hub-signature",
                "sha1=dc4f3d43520af8404a4f6316742fdfea24225e4a",
            ),
        ],
        body: r#"{"id":"evt_1","type":"invoice.paid","note":"Grüße, 東京 ✓!","amount":1200}"#,
    },
    Vector {
        by: "@octokit/webhooks-methods",
        scheme: "github",
        secret: "It's a Secret to Everybody",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks",
        headers: &[(
            "x-hub-signature-256",
            "sha256=6bc77715d2f393bd7693a6f1bcfc730abf9603553b4a58583cc1bc105b35983a",
        )],
        body: r#"{"id":"evt_1","type":"invoice.paid","note":"Grüße, 東京 ✓!","amount":1200}"#,
    },
    Vector {
        by: "standardwebhooks for Python",
        scheme: "standard",
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks",
        headers: &[
            ("webhook-id", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"),
            ("webhook-timestamp", "1796126400"),
            (
                "webhook-signature",
                "v1,WvMWJDjpI8hX/f9FO6/A6/HgInNiP8EgX9gmnZQW0qg=",
            ),
        ],
        body: r#"{"id":"evt_1","type":"invoice.paid","note":"Grüße, 東京 ✓!","amount":1200}"#,
    },
    Vector {
        by: "standardwebhooks for Node",
        scheme: "standard",
        secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks",
        headers: &[
            ("webhook-id", "msg_1-a_b:c"),
            ("webhook-timestamp", "1796126400"),
            (
                "webhook-signature",
                "v1,OyulL4zjXk/UE3wAccqgblJDPTkZunf7jDB79fWnpJA=",
            ),
        ],
        body: r#"{"id":"evt_1","type":"invoice.paid","note":"Grüße, 東京 ✓!","amount":1200}"#,
    },
    Vector {
        by: "svix",
        scheme: "svix",
        secret: "whsec_plJ3nmyCDGBKInavdOK15jsl",
        now: 1_731_705_121,
        method: "POST",
        url: "https://api.example.com/hooks",
        headers: &[
            ("svix-id", "msg_loFOjxBNrRLzqYUf"),
            ("svix-timestamp", "1731705121"),
            (
                "svix-signature",
                "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
            ),
        ],
        body: r#"{"event_type":"ping","data":{"success":true}}"#,
    },
    Vector {
        by: "@shopify/shopify-api",
        scheme: "shopify",
        secret: "a client secret that is made up",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks",
        headers: &[(
            "x-shopify-hmac-sha256",
            "cpHcfYyKPlg/S4G3esoWhQtKKxSO8k7bbC3WXNFKPYQ=",
        )],
        body: r#"{"id":"evt_1","type":"invoice.paid","note":"Grüße, 東京 ✓!","amount":1200}"#,
    },
    Vector {
        by: "twilio for Python, form",
        scheme: "twilio",
        secret: "0123456789abcdef0123456789abcdef",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks?foo=1&bar=a%20b",
        headers: &[
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=UTF-8",
            ),
            ("x-twilio-signature", "tV8RRj0V3gyVWQwigkFFDynYY+4="),
        ],
        body: "AccountSid=AC0123&Body=a+%26+b%3D1+caf%C3%A9+%E2%9C%93&From=%2B14155550100&FromCity=&NumMedia=2&MediaUrl=https%3A%2F%2Fx%2F2&MediaUrl=https%3A%2F%2Fx%2F1&MediaUrl=https%3A%2F%2Fx%2F1&To=%2B18005551212&apiVersion=2010",
    },
    Vector {
        by: "twilio for Node, form",
        scheme: "twilio",
        secret: "0123456789abcdef0123456789abcdef",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks?foo=1&bar=a%20b",
        headers: &[
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=UTF-8",
            ),
            ("x-twilio-signature", "tV8RRj0V3gyVWQwigkFFDynYY+4="),
        ],
        body: "AccountSid=AC0123&Body=a+%26+b%3D1+caf%C3%A9+%E2%9C%93&From=%2B14155550100&FromCity=&NumMedia=2&MediaUrl=https%3A%2F%2Fx%2F2&MediaUrl=https%3A%2F%2Fx%2F1&MediaUrl=https%3A%2F%2Fx%2F1&To=%2B18005551212&apiVersion=2010",
    },
    Vector {
        by: "twilio for Python, port",
        scheme: "twilio",
        secret: "0123456789abcdef0123456789abcdef",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com:8443/hooks",
        headers: &[
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=UTF-8",
            ),
            ("x-twilio-signature", "LEHjw2SXzqVC78VOQ5IkLW90j4A="),
        ],
        body: "AccountSid=AC0123&Body=a+%26+b%3D1+caf%C3%A9+%E2%9C%93&From=%2B14155550100&FromCity=&NumMedia=2&MediaUrl=https%3A%2F%2Fx%2F2&MediaUrl=https%3A%2F%2Fx%2F1&MediaUrl=https%3A%2F%2Fx%2F1&To=%2B18005551212&apiVersion=2010",
    },
    Vector {
        by: "twilio for Python, JSON",
        scheme: "twilio",
        secret: "0123456789abcdef0123456789abcdef",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks?a=b&bodySHA256=f17bb6f3437dfd0434dd62c94eadd97f494e010e72d3804c3c7553fb55613208",
        headers: &[
            ("content-type", "application/json"),
            ("x-twilio-signature", "jTYZ71TgUwTVvXUSR8bSu1ayfb8="),
        ],
        body: r#"{"id":"evt_1","type":"invoice.paid","note":"Grüße, 東京 ✓!","amount":1200}"#,
    },
    Vector {
        by: "twilio for Node, JSON",
        scheme: "twilio",
        secret: "0123456789abcdef0123456789abcdef",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks?bodySHA256=f17bb6f3437dfd0434dd62c94eadd97f494e010e72d3804c3c7553fb55613208",
        headers: &[
            ("content-type", "application/json"),
            ("x-twilio-signature", "sInSW7QH5/YAzLqqvCp7fZjiEP0="),
        ],
        body: r#"{"id":"evt_1","type":"invoice.paid","note":"Grüße, 東京 ✓!","amount":1200}"#,
    },
    Vector {
        by: "twilio for Python, GET",
        scheme: "twilio",
        secret: "0123456789abcdef0123456789abcdef",
        now: 1_796_126_400,
        method: "GET",
        url: "https://api.example.com/hooks?CallSid=CA1&From=%2B1415",
        headers: &[("x-twilio-signature", "crUwxtXqBDm9PQUTnnSCs/4VCas=")],
        body: "",
    },
    Vector {
        by: "twilio for Python, HMAC-SHA256",
        scheme: "twilio",
        secret: "0123456789abcdef0123456789abcdef",
        now: 1_796_126_400,
        method: "POST",
        url: "https://api.example.com/hooks",
        headers: &[
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=UTF-8",
            ),
            (
                "x-twilio-signature",
                "/xQl3tuk2NdMnjaGf0i49wM3kSa/7D/7eailICCoAlw=",
            ),
            (
                "x-twilio-webhooks-signature-settings",
                "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256",
            ),
        ],
        body: "AccountSid=AC0123&Body=a+%26+b%3D1+caf%C3%A9+%E2%9C%93&From=%2B14155550100&FromCity=&NumMedia=2&MediaUrl=https%3A%2F%2Fx%2F2&MediaUrl=https%3A%2F%2Fx%2F1&MediaUrl=https%3A%2F%2Fx%2F1&To=%2B18005551212&apiVersion=2010",
    },
];
