use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::json;

use super::{Ask, Found, Loader, Reloader, Role};
use crate::authn::Method;
use crate::authn::jwt::{UnverifiedToken, token_cache};
use crate::clock::{Clock, ManualClock};
use crate::pipeline::Pipeline;
use crate::snapshot::Snapshot;
use crate::snapshot::status::{Outcome, SetStatus};
use crate::test_support::{Records, Signer, claims, clock, jwk_set, key_entry, raw, with};
use crate::verdict::Reason;

const ISSUER: &str = "https://login.example.com";

/// A policy set that is reloaded by hand.
struct Set {
    directory: PathBuf,
    reloader: Reloader,
    pipeline: Arc<Pipeline>,
    status: Arc<SetStatus>,
    _clock: Arc<ManualClock>,
}

impl Set {
    /// Of a directory with one file.
    fn new(at: &Path, policy: &str) -> Self {
        let directory = at.join("policies");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("p.yaml"), policy).unwrap();
        Self::of(directory)
    }

    fn of(directory: PathBuf) -> Self {
        let clock = clock();
        let ticking: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let mut loader = Loader::new(&directory, token_cache(1 << 20));
        let found = loader.load(Ask::Always, clock.now());
        let Found::Good(good) = &found else {
            panic!("it does not compile");
        };
        let pipeline = Arc::new(Pipeline::new(
            Arc::clone(&good.snapshot),
            Arc::clone(&ticking),
            Arc::new(Records::default()),
            false,
        ));
        let status = Arc::new(SetStatus::new("enforced", &directory));
        let mut reloader = Reloader::new(
            Role::Enforced,
            loader,
            Arc::clone(&pipeline),
            Arc::clone(&status),
            ticking,
        );
        reloader.begin(found).unwrap();
        Self {
            directory,
            reloader,
            pipeline,
            status,
            _clock: clock,
        }
    }

    /// Puts a file in place in one step, as careful people do.
    fn put(&self, name: &str, text: &str) {
        let next = self.directory.with_file_name("next");
        fs::write(&next, text).unwrap();
        fs::rename(next, self.directory.join(name)).unwrap();
    }

    async fn reload(&mut self, policy: &str) -> Option<Outcome> {
        self.put("p.yaml", policy);
        self.reloader.step(Ask::IfChanged).await
    }

    async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Reason {
        let check = raw("GET", target, headers);
        let budget = Duration::from_secs(60);
        self.pipeline.check(check, budget, None).await.reason()
    }

    async fn bearer(&self, token: &str) -> Reason {
        self.get("/a", &[("authorization", &format!("Bearer {token}"))])
            .await
    }

    fn generation(&self) -> u64 {
        self.status.state().generation
    }
}

/// A policy that lets everybody to one path.
fn public(path: &str) -> String {
    format!("policies: {{p: {{hosts: ['*'], public: true, routes: [{{path: {path}}}]}}}}\n")
}

/// A policy that tokens of one authenticator open.
fn login(name: &str, jwt: &str) -> String {
    format!(
        "authenticators: {{{name}: {{jwt: {{{jwt}}}}}}}\n\
         policies: {{p: {{hosts: ['*'], routes: [{{path: /a, authenticate: {name}}}, {{path: /open, public: true}}]}}}}\n"
    )
}

#[tokio::test]
async fn takes_over_what_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut set = Set::new(dir.path(), &public("/a"));
    assert_eq!(
        (set.get("/a", &[]).await, set.generation()),
        (Reason::Allowed, 1)
    );
    assert_eq!(set.reloader.step(Ask::IfChanged).await, None);
    assert_eq!(set.reload(&public("/b")).await, Some(Outcome::Loaded));
    assert_eq!(set.generation(), 2);
    assert_eq!(set.get("/a", &[]).await, Reason::RouteUnknown);
    assert_eq!(set.get("/b", &[]).await, Reason::Allowed);
    set.put("more.yaml", &public("/c").replace("{p:", "{q:"));
    assert_eq!(
        set.reloader.step(Ask::IfChanged).await,
        Some(Outcome::Loaded)
    );
    assert_eq!(set.get("/c", &[]).await, Reason::Allowed);
    assert_eq!(set.reloader.step(Ask::IfDoubtful).await, None);
    assert_eq!(set.generation(), 3);
}

#[tokio::test]
async fn files_that_say_the_same_are_not_compiled_again_unless_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut set = Set::new(dir.path(), &public("/a"));
    let first = set.pipeline.snapshot();
    assert_eq!(set.reload(&public("/a")).await, Some(Outcome::Unchanged));
    assert!(Arc::ptr_eq(&first, &set.pipeline.snapshot()));
    assert_eq!(set.reloader.step(Ask::IfChanged).await, None);
    assert_eq!(set.reloader.step(Ask::Always).await, Some(Outcome::Loaded));
    assert!(!Arc::ptr_eq(&first, &set.pipeline.snapshot()));
    assert_eq!(set.generation(), 2);
    assert_eq!(set.status.reloads(Outcome::Unchanged), 1);
}

/// Within the grain of a file system's times a file may change and look as it did.
#[tokio::test]
async fn a_change_that_does_not_show_is_found_by_looking_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut set = Set::new(dir.path(), &public("/a"));
    // As if the first look had come before this write and seen its times.
    fs::write(set.directory.join("p.yaml"), public("/b")).unwrap();
    {
        let mut loader = set.reloader.loader.lock().unwrap();
        let now = clock().now();
        assert!(loader.moved());
        loader.pretend_seen(false);
        assert!(!loader.moved());
        assert!(matches!(loader.load(Ask::IfDoubtful, now), Found::Nothing));
        loader.pretend_seen(true);
    }
    assert_eq!(
        set.reloader.step(Ask::IfDoubtful).await,
        Some(Outcome::Loaded)
    );
    assert_eq!(set.get("/b", &[]).await, Reason::Allowed);
}

/// They may have come to rest as the last look at them read them.
#[tokio::test]
async fn files_that_kept_moving_are_read_again_even_if_they_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let mut set = Set::new(dir.path(), &public("/a"));
    let now = clock().now();
    {
        let mut loader = set.reloader.loader.lock().unwrap();
        loader.pretend_seen(true);
        assert!(matches!(
            loader.load(Ask::IfDoubtful, now),
            Found::Unchanged
        ));
        loader.pretend_moving();
    }
    assert_eq!(
        set.reloader.step(Ask::IfDoubtful).await,
        Some(Outcome::Loaded)
    );
}

/// Does something to a policy directory.
type Breaks<'a> = &'a dyn Fn(&Path);

#[tokio::test]
async fn keeps_last_good_policies_whatever_becomes_of_the_files() {
    let half: String = public("/b").chars().take(30).collect();
    let broken: [(&str, &str, Breaks<'_>); 7] = [
        ("a typing error", "unknown-key", &|at| {
            fs::write(at.join("p.yaml"), public("/b").replace("hosts", "hots")).unwrap();
        }),
        ("half a file", "syntax", &|at| {
            fs::write(at.join("p.yaml"), &half).unwrap()
        }),
        ("an empty file", "unreadable-file", &|at| {
            fs::write(at.join("p.yaml"), "").unwrap()
        }),
        ("no route", "no-routes", &|at| {
            fs::write(at.join("p.yaml"), "# later\n").unwrap()
        }),
        ("an empty directory", "no-policies", &|at| {
            fs::remove_file(at.join("p.yaml")).unwrap()
        }),
        ("no directory", "unreadable-directory", &|at| {
            fs::remove_dir_all(at).unwrap();
        }),
        ("a second file that contradicts", "duplicate-name", &|at| {
            fs::write(at.join("q.yaml"), public("/b")).unwrap();
        }),
    ];
    for (what, code, break_it) in broken {
        let dir = tempfile::tempdir().unwrap();
        let mut set = Set::new(dir.path(), &public("/a"));
        break_it(&set.directory);
        assert_eq!(
            set.reloader.step(Ask::IfChanged).await,
            Some(Outcome::Failed),
            "{what}"
        );
        for look in [Ask::IfDoubtful, Ask::IfDoubtful] {
            assert_eq!(set.get("/a", &[]).await, Reason::Allowed, "{what}");
            let state = set.status.state();
            assert!(state.stale, "{what}");
            assert_eq!(state.generation, 1, "{what}");
            let codes: Vec<_> = state.problems.iter().map(|problem| problem.code).collect();
            assert!(codes.contains(&code), "{what}: {codes:?}");
            assert_eq!(set.reloader.step(look).await, None, "{what}: told once");
        }
        assert_eq!(set.reloader.step(Ask::Always).await, Some(Outcome::Failed));
        let _ = fs::create_dir(&set.directory);
        let _ = fs::remove_file(set.directory.join("q.yaml"));
        set.put("p.yaml", &public("/b"));
        assert_eq!(
            set.reloader.step(Ask::IfDoubtful).await,
            Some(Outcome::Loaded),
            "{what}"
        );
        assert_eq!(set.get("/b", &[]).await, Reason::Allowed, "{what}");
        let state = set.status.state();
        assert_eq!((state.stale, state.generation), (false, 2), "{what}");
        assert!(state.problems.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn one_mistake_after_another_is_told_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut set = Set::new(dir.path(), &public("/a"));
    let at = set.directory.clone();
    let steps: [(&str, &dyn Fn()); 5] = [
        ("syntax", &|| {
            fs::write(at.join("p.yaml"), "policies: [").unwrap()
        }),
        ("no-policies", &|| {
            fs::remove_file(at.join("p.yaml")).unwrap()
        }),
        ("unreadable-directory", &|| fs::remove_dir(&at).unwrap()),
        ("no-policies", &|| fs::create_dir(&at).unwrap()),
        ("undeclared-directory", &|| {
            fs::create_dir(at.join("team")).unwrap();
            fs::write(at.join("p.yaml"), "").unwrap();
            fs::write(at.join("p.yaml"), public("/a")).unwrap();
            fs::write(at.join("team/p.yaml"), public("/b")).unwrap();
        }),
    ];
    for (code, step) in steps {
        step();
        assert_eq!(
            set.reloader.step(Ask::IfChanged).await,
            Some(Outcome::Failed),
            "{code}"
        );
        let state = set.status.state();
        let codes: Vec<_> = state.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, [code]);
    }
}

#[tokio::test]
async fn going_back_to_what_serves_ends_being_stale() {
    let dir = tempfile::tempdir().unwrap();
    let mut set = Set::new(dir.path(), &public("/a"));
    assert_eq!(set.reload("policies: [").await, Some(Outcome::Failed));
    assert_eq!(set.reload(&public("/a")).await, Some(Outcome::Loaded));
    assert!(!set.status.state().stale);
}

/// Kubernetes writes the new files into a directory of their own and swaps one link.
#[tokio::test]
async fn a_config_maps_swap_is_one_change() {
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().join("policies");
    fs::create_dir(&directory).unwrap();
    let generation = |name: &str, path: &str| {
        let at = directory.join(name);
        fs::create_dir(&at).unwrap();
        fs::write(at.join("a.yaml"), public(&format!("{path}/a"))).unwrap();
        let other = public(&format!("{path}/b")).replace("{p:", "{q:");
        fs::write(at.join("b.yaml"), other).unwrap();
    };
    generation("..1", "/old");
    symlink("..1", directory.join("..data")).unwrap();
    for file in ["a.yaml", "b.yaml"] {
        symlink(Path::new("..data").join(file), directory.join(file)).unwrap();
    }
    let mut set = Set::of(directory.clone());
    generation("..2", "/new");
    let before = set.reloader.step(Ask::IfChanged).await;
    assert_ne!(before, Some(Outcome::Loaded), "not before the swap");
    symlink("..2", directory.join("..data_tmp")).unwrap();
    fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
    fs::remove_dir_all(directory.join("..1")).unwrap();
    assert_eq!(
        set.reloader.step(Ask::IfChanged).await,
        Some(Outcome::Loaded)
    );
    for (path, reason) in [
        ("/old/a", Reason::RouteUnknown),
        ("/new/a", Reason::Allowed),
        ("/new/b", Reason::Allowed),
    ] {
        assert_eq!(set.get(path, &[]).await, reason, "{path}");
    }
}

fn is_cached(snapshot: &Snapshot, token: &str) -> bool {
    let token = UnverifiedToken::of_shape(token.as_bytes()).unwrap();
    snapshot.table.authenticators.iter().any(|authenticator| {
        matches!(&authenticator.method, Method::Jwt(verifier, _) if verifier.cached(&token).is_some())
    })
}

/// What a token was verified under decides whether that counts any more.
#[tokio::test]
async fn verified_tokens_stay_verified_where_nothing_about_them_changed() {
    let (signer, other) = (Signer::ed25519("k"), Signer::ed25519("k"));
    let keys = |signer: &Signer| jwk_set(&[signer]);
    let jwt = |audience: &str, more: &str, keys: &str| {
        format!("issuer: '{ISSUER}', audiences: [{audience}], {more}jwks: {{inline: {keys}}}")
    };
    let usual = jwt("orders-api", "", &keys(&signer));
    for (what, policy, stays, reason) in [
        (
            "another route",
            login("login", &usual).replace("/open", "/else"),
            true,
            Reason::Allowed,
        ),
        (
            "a consumer more",
            format!(
                "{}consumers: {{c: {{scopes: [a]}}}}\n",
                login("login", &usual)
            ),
            true,
            Reason::Allowed,
        ),
        (
            "an authenticator more",
            login("login", &format!("{usual}}}}}, keys: {{api_key: {{")),
            true,
            Reason::Allowed,
        ),
        (
            "another audience",
            login("login", &jwt("billing-api", "", &keys(&signer))),
            false,
            Reason::TokenAudienceMismatch,
        ),
        (
            "an audience more",
            login("login", &jwt("orders-api, x", "", &keys(&signer))),
            false,
            Reason::Allowed,
        ),
        (
            "another algorithm",
            login(
                "login",
                &jwt("orders-api", "algorithms: [ES256], ", &keys(&signer)),
            ),
            false,
            Reason::TokenAlgorithmRefused,
        ),
        (
            "a key replaced under its name",
            login("login", &jwt("orders-api", "", &keys(&other))),
            false,
            Reason::TokenSignatureInvalid,
        ),
        ("another name", login("sso", &usual), false, Reason::Allowed),
        (
            "another issuer",
            login("login", &usual.replace("login.", "sso.")),
            false,
            Reason::TokenIssuerUnknown,
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut set = Set::new(dir.path(), &login("login", &usual));
        let token = signer.token(&claims(ISSUER));
        assert_eq!(set.bearer(&token).await, Reason::Allowed);
        assert!(is_cached(&set.pipeline.snapshot(), &token));
        assert_eq!(set.reload(&policy).await, Some(Outcome::Loaded), "{what}");
        assert_eq!(is_cached(&set.pipeline.snapshot(), &token), stays, "{what}");
        assert_eq!(set.bearer(&token).await, reason, "{what}");
        // And back: what was verified under the first configuration is the first's again.
        assert_eq!(
            set.reload(&login("login", &usual)).await,
            Some(Outcome::Loaded)
        );
        assert_eq!(set.bearer(&token).await, Reason::Allowed, "{what}");
    }
}

#[tokio::test]
async fn a_key_file_comes_and_goes_with_its_policies() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys.json");
    let put = |text: &str| {
        fs::write(dir.path().join("keys.next"), text).unwrap();
        fs::rename(dir.path().join("keys.next"), &file).unwrap();
    };
    let (old, new) = (Signer::ed25519("k"), Signer::ed25519("k"));
    put(&jwk_set(&[&old]));
    let jwt = format!(
        "issuer: '{ISSUER}', any_audience: true, jwks: {{file: '{}'}}",
        file.display()
    );
    let mut set = Set::new(dir.path(), &login("login", &jwt));
    let (by_old, by_new) = (old.token(&claims(ISSUER)), new.token(&claims(ISSUER)));
    assert_eq!(set.bearer(&by_old).await, Reason::Allowed);
    let needed = |set: &Set| Arc::clone(&set.pipeline.snapshot().table.needed_key_sets[0].1);
    let first = needed(&set);

    let more = format!("{}# more\n", login("login", &jwt));
    assert_eq!(set.reload(&more).await, Some(Outcome::Loaded));
    assert!(
        Arc::ptr_eq(&first, &needed(&set)),
        "the same content is the same set"
    );
    assert!(is_cached(&set.pipeline.snapshot(), &by_old));

    put("{\"keys\": [");
    assert_eq!(
        set.reloader.step(Ask::IfChanged).await,
        Some(Outcome::Failed)
    );
    assert_eq!(
        set.status.state().problems.iter().next().unwrap().code,
        "bad-key-set"
    );
    assert_eq!(
        set.bearer(&by_old).await,
        Reason::Allowed,
        "the last good keys serve on"
    );

    fs::remove_file(&file).unwrap();
    assert_eq!(
        set.reloader.step(Ask::IfChanged).await,
        Some(Outcome::Failed)
    );

    put(&jwk_set(&[&new]));
    assert_eq!(
        set.reloader.step(Ask::IfChanged).await,
        Some(Outcome::Loaded)
    );
    assert_eq!(set.bearer(&by_new).await, Reason::Allowed);
    assert_eq!(set.bearer(&by_old).await, Reason::TokenSignatureInvalid);
    assert!(
        !set.reloader.fetches.runs(&first),
        "nobody needs the old set"
    );
    assert!(set.reloader.fetches.runs(&needed(&set)));
}

/// An issuer that takes connections and never answers.
fn silent_issuer() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test(start_paused = true)]
async fn a_new_issuers_keys_are_waited_for_and_not_for_ever() {
    let (_listener, url) = silent_issuer();
    let dir = tempfile::tempdir().unwrap();
    let signer = Signer::ed25519("k");
    let first = login(
        "login",
        &format!(
            "issuer: '{ISSUER}', any_audience: true, jwks: {{inline: {}}}",
            jwk_set(&[&signer])
        ),
    );
    let mut set = Set::new(dir.path(), &first);
    let token = signer.token(&claims(ISSUER));
    let second = format!(
        "authenticators: {{new: {{jwt: {{issuer: i, any_audience: true, jwks: {{url: '{url}'}}}}}}}}\n\
         policies: {{q: {{hosts: [other], routes: [{{path: /, authenticate: new}}]}}}}\n"
    );
    set.put("second.yaml", &second);
    let before = tokio::time::Instant::now();
    assert_eq!(
        set.reloader.step(Ask::IfChanged).await,
        Some(Outcome::Loaded)
    );
    let waited = before.elapsed();
    assert!((4..6).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(set.bearer(&token).await, Reason::Allowed);
    let snapshot = set.pipeline.snapshot();
    assert_eq!(snapshot.missing_key_sets().collect::<Vec<_>>(), ["new"]);
    let cell = Arc::clone(
        &snapshot
            .table
            .needed_key_sets
            .iter()
            .find(|(n, _)| &**n == "new")
            .unwrap()
            .1,
    );
    assert!(set.reloader.fetches.runs(&cell));

    // It is not new the next time, under whatever name; and its task goes with it.
    set.put("second.yaml", &second.replace("new", "renamed"));
    let before = tokio::time::Instant::now();
    assert_eq!(
        set.reloader.step(Ask::IfChanged).await,
        Some(Outcome::Loaded)
    );
    assert!(
        before.elapsed() < Duration::from_secs(1),
        "{:?}",
        before.elapsed()
    );
    let renamed = set.pipeline.snapshot();
    assert!(
        renamed
            .table
            .needed_key_sets
            .iter()
            .any(|(_, other)| Arc::ptr_eq(other, &cell))
    );
    drop((snapshot, renamed));
    fs::remove_file(set.directory.join("second.yaml")).unwrap();
    assert_eq!(
        set.reloader.step(Ask::IfChanged).await,
        Some(Outcome::Loaded)
    );
    assert!(!set.reloader.fetches.runs(&cell));
}

#[tokio::test]
async fn keys_that_come_in_time_are_there_with_the_policies() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let dir = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let signer = Signer::ed25519("k");
    let document = jwk_set(&[&signer]);
    let issuer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert_ne!(stream.read(&mut request).await.unwrap(), 0);
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{document}",
            document.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    };
    let mut set = Set::new(dir.path(), &public("/a"));
    let jwt = format!("issuer: '{ISSUER}', any_audience: true, jwks: {{url: '{url}'}}");
    set.put("p.yaml", &login("login", &jwt));
    let (outcome, ()) = tokio::join!(set.reloader.step(Ask::IfChanged), issuer);
    assert_eq!(outcome, Some(Outcome::Loaded));
    assert!(set.pipeline.snapshot().is_ready(), "no request has to wait");
    assert_eq!(
        set.bearer(&signer.token(&claims(ISSUER))).await,
        Reason::Allowed
    );
}

#[tokio::test]
async fn an_old_generation_is_taken_apart_when_its_last_request_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut set = Set::new(dir.path(), &public("/a"));
    let held = set.pipeline.snapshot();
    let old: Weak<Snapshot> = Arc::downgrade(&held);
    assert_eq!(set.reload(&public("/b")).await, Some(Outcome::Loaded));
    let second = Arc::downgrade(&set.pipeline.snapshot());
    drop(held);
    assert!(old.upgrade().is_some(), "not by the one who drops it last");
    set.reloader.step(Ask::IfDoubtful).await;
    assert!(old.upgrade().is_none());
    assert_eq!(set.reload(&public("/c")).await, Some(Outcome::Loaded));
    assert!(
        second.upgrade().is_none(),
        "one that nobody held goes at once"
    );
}

#[tokio::test]
async fn a_key_keeps_its_consumer_only_as_long_as_the_policies_say() {
    let dir = tempfile::tempdir().unwrap();
    let policy = |scopes: &str, key: &str| {
        format!(
            "authenticators: {{k: {{api_key: {{}}}}}}\n\
             consumers: {{acme: {{scopes: [{scopes}], credentials: {{k: [{}]}}}}}}\n\
             policies: {{p: {{hosts: ['*'], authenticate: k, routes: [{{path: /a, scopes: [read]}}]}}}}\n",
            key_entry("k1", key)
        )
    };
    let mut set = Set::new(dir.path(), &policy("read", "one"));
    for (scopes, key, by_one, by_two) in [
        (
            "write",
            "one",
            Reason::ScopeInsufficient,
            Reason::KeyUnknown,
        ),
        ("read", "two", Reason::KeyUnknown, Reason::Allowed),
        ("read", "one", Reason::Allowed, Reason::KeyUnknown),
    ] {
        assert_eq!(
            set.reload(&policy(scopes, key)).await,
            Some(Outcome::Loaded)
        );
        assert_eq!(set.get("/a", &[("x-api-key", "one")]).await, by_one);
        assert_eq!(set.get("/a", &[("x-api-key", "two")]).await, by_two);
    }
}

#[tokio::test]
async fn a_token_of_a_consumer_that_is_gone_has_no_ceiling_and_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let signer = Signer::ed25519("k");
    let jwt = format!(
        "issuer: '{ISSUER}', any_audience: true, jwks: {{inline: {}}}",
        jwk_set(&[&signer])
    );
    let plain = login("login", &jwt).replace("/a,", "/a, scopes: ['orders:read'],");
    let capped = format!(
        "{plain}consumers: {{app: {{scopes: [nothing], credentials: {{login: [{{claim: azp, value: app}}]}}}}}}\n"
    );
    let mut set = Set::new(dir.path(), &plain);
    let token = signer.token(&with(&claims(ISSUER), "azp", json!("app")));
    assert_eq!(set.bearer(&token).await, Reason::Allowed);
    assert_eq!(set.reload(&capped).await, Some(Outcome::Loaded));
    assert!(is_cached(&set.pipeline.snapshot(), &token), "verified once");
    assert_eq!(
        set.bearer(&token).await,
        Reason::ScopeInsufficient,
        "and judged anew"
    );
}

#[tokio::test]
async fn what_is_revoked_counts_even_where_the_rest_does_not_compile() {
    let dir = tempfile::tempdir().unwrap();
    let good = format!(
        "authenticators: {{k: {{api_key: {{}}}}}}\n\
         consumers: {{acme: {{credentials: {{k: [{}, {}]}}}}}}\n\
         policies: {{p: {{hosts: ['*'], authenticate: k, routes: [{{path: /a}}]}}}}\n",
        key_entry("k1", "one"),
        key_entry("k2", "two")
    );
    let revoking = |ids: &[&str]| {
        let entries: Vec<String> = ids
            .iter()
            .map(|id| format!("{{credential: {id}}}"))
            .collect();
        format!("revocations: [{}]\n{good}", entries.join(", "))
    };
    let broken = |text: String| text.replace("routes:", "ruotes:");
    let mut set = Set::new(dir.path(), &good);
    for (what, text, outcome, one, two) in [
        ("nothing", revoking(&["k9"]), Outcome::Loaded, true, true),
        (
            "one beside a mistake",
            broken(revoking(&["k1"])),
            Outcome::Failed,
            false,
            true,
        ),
        (
            "half a file",
            "revocations: [{credential: k".to_owned(),
            Outcome::Failed,
            false,
            true,
        ),
        (
            "another word",
            "revoc".to_owned(),
            Outcome::Failed,
            false,
            true,
        ),
        (
            "the other beside a mistake",
            broken(revoking(&["k2"])),
            Outcome::Failed,
            false,
            false,
        ),
        ("the other", revoking(&["k2"]), Outcome::Loaded, true, false),
        (
            "none beside a mistake",
            broken(good.clone()),
            Outcome::Failed,
            true,
            false,
        ),
        ("none", good.clone(), Outcome::Loaded, true, true),
    ] {
        assert_eq!(set.reload(&text).await, Some(outcome), "{what}");
        for (key, passes) in [("one", one), ("two", two)] {
            let reason = set.get("/a", &[("x-api-key", key)]).await;
            let wanted = if passes {
                Reason::Allowed
            } else {
                Reason::CredentialsRevoked
            };
            assert_eq!(reason, wanted, "{what}: {key}");
        }
    }
}

/// What a tenant revoked stays revoked as long as its older policies serve.
#[tokio::test]
async fn a_tenant_that_breaks_takes_no_revocation_back() {
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().join("policies");
    fs::create_dir_all(directory.join("team")).unwrap();
    fs::write(
        directory.join("root.yaml"),
        "tenants: {team: {hosts: ['*']}}\n",
    )
    .unwrap();
    let good = format!(
        "authenticators: {{k: {{api_key: {{}}}}}}\n\
         consumers: {{acme: {{credentials: {{k: [{}]}}}}}}\n\
         policies: {{p: {{hosts: ['*'], authenticate: k, routes: [{{path: /a}}]}}}}\n",
        key_entry("k1", "one")
    );
    let put = |text: &str| fs::write(directory.join("team/p.yaml"), text).unwrap();
    put(&format!("{good}revocations: [{{credential: k1}}]\n"));
    let mut set = Set::of(directory.clone());
    for (text, reason) in [
        (None, Reason::CredentialsRevoked),
        (
            Some(good.replace("routes:", "ruotes:")),
            Reason::CredentialsRevoked,
        ),
        (Some(good), Reason::Allowed),
    ] {
        if let Some(text) = text {
            put(&text);
            set.reloader.step(Ask::Always).await;
        }
        assert_eq!(set.get("/a", &[("x-api-key", "one")]).await, reason);
    }
}
