use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::{CommandFactory as _, Parser as _};

use super::keys::KeysCommand;
use super::{CONFIGURATION, Cli, Command, OK, USAGE, run, settings};
use crate::authn::api_key::mint;
use crate::test_support::{World, compile};
use crate::verdict::Reason;

pub(super) fn arguments(words: &[&str]) -> Vec<OsString> {
    std::iter::once("portcullis")
        .chain(words.iter().copied())
        .map(OsString::from)
        .collect()
}

pub(super) fn exit(words: &[&str]) -> u8 {
    run(arguments(words))
}

const GOOD: &str = "policies: {p: {hosts: ['*'], public: true, routes: [{path: /}]}}";

#[test]
fn the_command_line_is_well_formed_and_documented() {
    Cli::command().debug_assert();
    for words in [
        &["--help"][..],
        &["serve", "--help"],
        &["check", "--help"],
        &["test", "--help"],
        &["explain", "--help"],
        &["diff", "--help"],
        &["replay", "--help"],
        &["keys", "new", "--help"],
    ] {
        let help = Cli::try_parse_from(arguments(words)).unwrap_err();
        assert_eq!(help.exit_code(), 0, "{words:?}");
        let text = help.to_string();
        assert!(text.contains("Usage: portcullis"), "{text}");
    }
    let command = Cli::command();
    for argument in command.find_subcommand("serve").unwrap().get_arguments() {
        assert!(argument.get_help().is_some(), "{}", argument.get_id());
    }
}

#[test]
fn check_tells_by_its_exit_status() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    assert_eq!(exit(&["check", path]), CONFIGURATION, "an empty directory");
    fs::write(dir.path().join("policy.yaml"), GOOD).unwrap();
    for output in ["text", "json"] {
        assert_eq!(exit(&["check", path, "--output", output]), OK);
    }
    fs::write(dir.path().join("more.yaml"), "polices: {}").unwrap();
    for output in ["text", "json"] {
        assert_eq!(exit(&["check", path, "--output", output]), CONFIGURATION);
    }
    assert_eq!(
        exit(&["check", dir.path().join("gone").to_str().unwrap()]),
        CONFIGURATION
    );
    assert_eq!((OK, USAGE, CONFIGURATION), (0, 2, 78));
}

#[test]
fn a_command_line_that_cannot_be_understood_is_told_apart() {
    for words in [
        &[][..],
        &["nonsense"],
        &["check", "a", "b"],
        &["check", "a", "--output", "xml"],
        &["keys"],
        &["serve", "--check-timeout", "soon"],
        &["serve", "--check-timeout", "0s"],
        &["serve", "--max-in-flight", "0"],
        &["serve", "--unix-mode", "999"],
        &["serve", "--listen-tcp", "localhost"],
        &["serve", "--trace-ratio", "2"],
        &["serve", "--settings", "/nowhere/settings.yaml"],
    ] {
        assert_eq!(exit(words), USAGE, "{words:?}");
    }
    assert_eq!(exit(&["--version"]), OK);
    assert_eq!(exit(&["version", "--output", "json"]), OK);
}

/// What `keys new` prints with these flags, and the key.
fn printed(words: &[&str]) -> (String, String) {
    let words = [&["keys", "new"], words].concat();
    let cli = Cli::try_parse_from(arguments(&words)).unwrap_or_else(|error| panic!("{error}"));
    let Command::Keys(KeysCommand::New(new)) = cli.command else {
        panic!("{words:?}");
    };
    let key = super::keys::minted(&new).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let plain = String::from_utf8(key.plain.expose().to_vec()).unwrap();
    (super::keys::yaml(&new, &key), plain)
}

#[test]
fn a_new_keys_yaml_lets_it_in() {
    for (words, environment, authenticator) in [
        (&[][..], "live", "my-api-key"),
        (
            &["--consumer", "a.b_c-1", "--authenticator", "keys.v1"],
            "live",
            "keys.v1",
        ),
        (&["--environment", "test-2"], "test-2", "my-api-key"),
        (&["--environment", "no"], "no", "my-api-key"),
        (&["--environment", "007"], "007", "my-api-key"),
        (&["--environment", "1e3"], "1e3", "my-api-key"),
        (
            &["--consumer", "true", "--authenticator", "null"],
            "live",
            "null",
        ),
        (&["--consumer", "1", "--authenticator", "-"], "live", "-"),
        (&["--consumer", "acme", "--authenticator", "~"], "live", "~"),
        (&["--id", "007"], "live", "my-api-key"),
        (&["--prefix", "acme_"], "live", "my-api-key"),
        (
            &[
                "--scopes",
                "orders:read,orders:*",
                "--expires",
                "2099-01-31",
            ],
            "live",
            "my-api-key",
        ),
        (&["--scopes", "a#b,c:d,{e},*"], "live", "my-api-key"),
        (&["--expires", "2099-01-31T12:00:00Z"], "live", "my-api-key"),
        (
            &["--expires", "2099-01-31T12:00:00.5+02:00"],
            "live",
            "my-api-key",
        ),
    ] {
        if authenticator == "~" {
            let words = [&["keys", "new"], words].concat();
            assert_ne!(exit(&words), OK, "{words:?}");
            continue;
        }
        let (yaml, plain) = printed(words);
        let policy = format!(
            "authenticators: {{'{authenticator}': {{api_key: {{}}}}}}
policies: {{p: {{hosts: ['*'], environment: '{environment}', authenticate: '{authenticator}', routes: [{{path: /}}]}}}}
{yaml}"
        );
        let (table, out) = compile(&[("policy.yaml", &policy)]);
        let table = table.unwrap_or_else(|| panic!("{words:?}\n{}", out.render()));
        assert!(!yaml.contains(&plain), "the key itself stands nowhere");
        assert_eq!(
            World::of(table).get("/", &[("x-api-key", &plain)]),
            Reason::Allowed
        );
    }
}

#[test]
fn refuses_to_mint_a_key_whose_yaml_would_not_load() {
    let long = "a".repeat(200);
    for words in [
        &["--consumer", "a b"][..],
        &["--consumer", ""],
        &["--consumer", &long],
        &["--authenticator", "a: b"],
        &["--environment", "a_b"],
        &["--scopes", "a b"],
        &["--scopes", "or*"],
        &["--expires", "soon"],
        &["--expires", "2027-02-30"],
        &["--expires", "2027"],
        &["--expires", "2027-01-31, scopes: []"],
        &["--id", "a\"b"],
        &["--prefix", "pk"],
    ] {
        let words = [&["keys", "new"], words].concat();
        assert_eq!(exit(&words), USAGE, "{words:?}");
    }
    assert_eq!(exit(&["keys", "new"]), OK);
    assert_eq!(exit(&["keys", "new", "--output", "json"]), OK);
    assert!(mint("pk_", "live", None).is_ok());
}

fn with_settings(path: &Path, words: &[&str]) -> Result<Vec<String>, String> {
    let path = path.to_str().unwrap();
    let words = [&["serve", "--settings", path], words].concat();
    let with = settings::with_file(arguments(&words))?;
    Ok(with
        .into_iter()
        .map(|word| word.into_string().unwrap())
        .collect())
}

/// What `serve` makes of the settings file and these flags, of one setting.
fn setting(path: &Path, words: &[&str], name: &str) -> String {
    let with = with_settings(path, words).unwrap_or_else(|error| panic!("{error}"));
    let matches = Cli::command().get_matches_from(with);
    let serve = matches.subcommand_matches("serve").unwrap();
    let mut raw = serve.get_raw(name).unwrap();
    raw.next_back().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_flag_goes_before_the_settings_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.yaml");
    fs::write(
        &path,
        "max_in_flight: 7\ncheck_timeout: 90ms\nrequire_tls: true\nlisten_tcp: none\n",
    )
    .unwrap();
    for (words, name, value) in [
        (&[][..], "max_in_flight", "7"),
        (&["--max-in-flight", "9"], "max_in_flight", "9"),
        (&["--max-in-flight=9"], "max_in_flight", "9"),
        (&["--max-in-flight", "9"], "check_timeout", "90ms"),
        (&[], "require_tls", "true"),
        (&["--require-tls", "false"], "require_tls", "false"),
        (&[], "listen_tcp", "none"),
        (&[], "drain_delay", "5s"),
    ] {
        assert_eq!(setting(&path, words, name), value, "{words:?} {name}");
    }
}

#[test]
fn an_empty_settings_file_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.yaml");
    for text in ["", "# nothing\n"] {
        fs::write(&path, text).unwrap();
        assert_eq!(setting(&path, &[], "max_in_flight"), "1024");
    }
}

#[test]
fn a_mistake_in_the_settings_file_is_told_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.yaml");
    for (text, told) in [
        ("max_in_flght: 7", "did you mean `max_in_flight`?"),
        ("max-in-flight: 7", "did you mean `max_in_flight`?"),
        ("nonsense: 7", "the settings are"),
        ("settings: other.yaml", "`settings` is not a setting"),
        ("help: true", "`help` is not a setting"),
        ("max_in_flight: [7]", "`max_in_flight` takes one value"),
        ("max_in_flight: 0", "write a whole number above 0"),
        ("check_timeout: soon", "in the settings file"),
        ("a: 1\na: 2", "a"),
        ("[]", "the settings file"),
    ] {
        fs::write(&path, text).unwrap();
        let error = with_settings(&path, &[]).unwrap_err();
        assert!(error.contains(told), "{text}: {error}");
        assert!(error.contains("settings.yaml"), "{text}: {error}");
    }
}

/// Lists do not add up: the first place that says something counts.
#[test]
fn a_list_of_the_command_line_goes_before_the_settings_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.yaml");
    fs::write(
        &path,
        "tls_client_name: [a.test, b.test]\nunix_allow_uid: 7\nunix_allow_gid: [0, envoy]\n",
    )
    .unwrap();
    let with = with_settings(&path, &["--tls-client-name", "c.test"]).unwrap();
    let of = |flag: &str| {
        let starts = |word: &&String| word.starts_with(flag);
        with.iter().filter(starts).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of("--tls-client-name"), ["--tls-client-name"]);
    assert_eq!(of("--unix-allow-uid"), ["--unix-allow-uid=7"]);
    let both = ["--unix-allow-gid=0", "--unix-allow-gid=envoy"];
    assert_eq!(of("--unix-allow-gid"), both);
    fs::write(&path, "tls_client_name: {a: b}\n").unwrap();
    let error = with_settings(&path, &[]).unwrap_err();
    assert!(error.contains("one value, or a list"), "{error}");
}

#[test]
fn only_serve_reads_the_settings_file() {
    let words = ["check", "--settings", "/nowhere"];
    assert_eq!(
        settings::with_file(arguments(&words)),
        Ok(arguments(&words))
    );
}

#[test]
fn completions_manual_pages_and_schemas_are_printed() {
    for words in [
        &["completions", "bash"][..],
        &["completions", "zsh"],
        &["completions", "fish"],
        &["man"],
        &["man", "serve"],
        &["man", "keys", "new"],
        &["schema", "policy"],
        &["schema", "settings"],
    ] {
        assert_eq!(exit(words), OK, "{words:?}");
    }
    for words in [
        &["completions", "tcsh"][..],
        &["man", "no-such"],
        &["schema", "all"],
    ] {
        assert_eq!(exit(words), USAGE, "{words:?}");
    }
}

#[test]
fn warnings_count_where_they_are_denied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let policy = format!("{GOOD}\nconsumers: {{acme: {{expires: 2027-01-31}}}}");
    fs::write(dir.path().join("policy.yaml"), policy).unwrap();
    for output in ["text", "json", "github"] {
        let check = ["check", path, "--output", output, "--now", "2027-01-30"];
        assert_eq!(exit(&check), OK, "{output}");
        for more in [&["--deny-warnings"][..], &["--deny-warnings", "--quiet"]] {
            assert_eq!(
                exit(&[&check[..], more].concat()),
                CONFIGURATION,
                "{output}"
            );
        }
        assert_eq!(exit(&[&check[..], &["--quiet"]].concat()), OK, "{output}");
    }
    for now in ["soon", "2027-01-30T10:00:00", ""] {
        assert_eq!(exit(&["check", path, "--now", now]), USAGE, "{now}");
    }
}

/// What the schema says of each setting is what the file's reader takes.
#[test]
fn the_settings_schema_holds_every_setting_and_its_default() {
    let schema = super::settings_schema();
    let settings = schema["properties"].as_object().unwrap();
    assert!(settings.len() > 15, "{settings:?}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings.yaml");
    for (name, setting) in settings {
        assert!(setting["description"].is_string(), "{name}");
        let Some(default) = setting.get("default") else {
            continue;
        };
        fs::write(&file, format!("{name}: {default}")).unwrap();
        let words = ["serve", "--settings", file.to_str().unwrap()];
        assert!(
            settings::with_file(arguments(&words)).is_ok(),
            "{name}: {default}"
        );
    }
}
