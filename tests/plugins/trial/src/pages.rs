//! Pages of every kind, and notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hearth_plugin_api::wire::HostCall;
use hearth_plugin_api::{
    CommandCall, NoticeLevel, Page, PageRequest, PageResponse, Registrar, Result, Tab, json, xml,
};

use crate::Trial;

pub fn register(trial: &Arc<Trial>, registrar: &Registrar<'_>) -> Result<()> {
    registrar.tab(Tab::new("trial", "Trial").translated("de", "Versuch"))?;
    let page = |slug: &str, title: &str| Page::new(slug, title).in_tab("trial");
    registrar.page(
        page("form", "Form").translated("de", "Formular").order(1),
        trial,
        Trial::form,
    )?;
    registrar.page(page("live", "Live"), trial, Trial::live)?;
    registrar.page(page("active", "Active").hidden(), trial, Trial::active)?;
    registrar.page(page("picture", "Picture").hidden(), trial, Trial::picture)?;
    registrar.page(page("panic", "Panic").hidden(), trial, Trial::panic)?;
    registrar.page(page("slow", "Slow").hidden(), trial, Trial::slow)?;
    registrar.page(Page::new("nodes", "Nodes of the trial").in_tab("server"), trial, Trial::live)
}

impl Trial {
    /// Shows all that it was given.
    async fn form(self: Arc<Self>, request: PageRequest) -> Result<PageResponse> {
        if request.path == "saved" {
            let told = PageResponse::redirect(&format!("{}?done=1", request.base));
            return Ok(told.notice(NoticeLevel::Warning, "Saved, but look again."));
        }
        let content = request.file("file").map(|file| String::from_utf8_lossy(&file.content));
        let content = xml::escaped(&content.unwrap_or_default());
        let given = xml::escaped(&json::to_string(&PageRequest {
            token: String::new(),
            ..request.clone()
        })?);
        let (echo, save) = (request.open_form("echo?q=1"), request.open_form("saved"));
        Ok(PageResponse::html(format!(
            "<div class='card'>{echo}<div class='field'><label for='name'>Name</label>\
             <input id='name' name='name'></div><div class='field'><label for='file'>File</label>\
             <input id='file' name='file' type='file'></div><button class='button'>Send</button></form>\
             {save}<button class='button'>Save</button></form></div>\
             <pre id='given'>{given}</pre><pre id='content'>{content}</pre>"
        )))
    }

    /// Counts how often it was asked.
    async fn live(self: Arc<Self>, request: PageRequest) -> Result<PageResponse> {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let asked = ASKED.fetch_add(1, Ordering::Relaxed);
        let (base, partial) = (&request.base, request.partial);
        Ok(PageResponse::html(format!(
            "<div id='live' hx-get='{base}' hx-trigger='every 300ms' hx-select='#live' \
             hx-swap='outerHTML'><p>Asked {asked} times, partial: {partial}</p></div>"
        )))
    }

    /// Tries to run and to restyle what the browser must not let it.
    async fn active(self: Arc<Self>, _: PageRequest) -> Result<PageResponse> {
        Ok(PageResponse::html(
            "<p id='kept'>untouched</p><style>#kept { display: none }</style>\
             <script>document.getElementById('kept').textContent = 'touched'</script>\
             <p hx-on:click=\"document.getElementById('kept').textContent = 'touched'\" \
             onclick=\"document.getElementById('kept').textContent = 'touched'\">press</p>",
        ))
    }

    async fn picture(self: Arc<Self>, _: PageRequest) -> Result<PageResponse> {
        let svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
        Ok(PageResponse::document("image/svg+xml", svg))
    }

    async fn panic(self: Arc<Self>, _: PageRequest) -> Result<PageResponse> {
        panic!("on purpose")
    }

    async fn slow(self: Arc<Self>, _: PageRequest) -> Result<PageResponse> {
        self.host.sleep(Duration::from_secs(600)).await?;
        Ok(PageResponse::html("<p>at last</p>"))
    }

    /// Raises a notice, or takes back the one of that key when there is no text.
    pub async fn notice(self: Arc<Self>, call: CommandCall) -> Result<json::Value> {
        let argument = |name: &str| call.arguments[name].as_str().unwrap_or_default().to_owned();
        let (key, text) = (argument("key"), argument("text"));
        if text.is_empty() {
            self.host.clear_notice(&key).await?;
            return Ok(json::Value::Null);
        }
        let level = json::from_value(call.arguments["level"].clone())?;
        let everywhere = call.arguments["everywhere"].as_bool().unwrap_or_default();
        let page = argument("page");
        self.host.call(&HostCall::NoticeRaise { key, level, text, page, everywhere }).await
    }
}
