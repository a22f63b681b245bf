//! The smallest useful plugin: a property, and a console page that shows and sets it.

use std::sync::Arc;

use hearth_plugin_api::{
    Capability, Host, Manifest, NoticeLevel, Page, PageRequest, PageResponse, Plugin, Property,
    Registrar, Result, export_plugin, manifest, xml,
};

struct Hello {
    host: Host,
}

impl Plugin for Hello {
    fn manifest() -> Manifest {
        manifest!().name("Hello").asks_for(&[Capability::Console])
    }

    fn create(host: Host) -> Result<Hello> {
        Ok(Hello { host })
    }

    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        registrar.property(Property::text("greeting", "Good morning", "What the page says."))?;
        registrar.page(Page::new("hello", "Hello"), self, Hello::page)
    }
}

impl Hello {
    async fn page(self: Arc<Self>, request: PageRequest) -> Result<PageResponse> {
        if request.is_post() {
            self.host.set_property("greeting", request.field("greeting")).await?;
            let saved = PageResponse::redirect(&request.base);
            return Ok(saved.notice(NoticeLevel::Info, "The greeting is saved."));
        }
        let greeting = xml::escaped(&self.host.property("greeting")?);
        let admin = xml::escaped(&request.admin);
        let form = request.open_form("");
        Ok(PageResponse::html(format!(
            "<p>{greeting}, {admin}!</p>\
             {form}<label>Greeting <input name='greeting' value='{greeting}'></label>\
             <button>Save</button></form>"
        )))
    }
}

export_plugin!(Hello);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use hearth_plugin_api::testing::FakeHost;

    use super::*;

    #[test]
    fn the_page_shows_what_its_form_has_set() {
        let server = FakeHost::start::<Hello>().unwrap();
        assert!(text(&server).starts_with("<p>Good morning, admin!</p>"));
        let saved = server.post("hello", &[("greeting", "<b>")]).unwrap();
        assert_eq!(saved.location.as_deref(), Some("/plugins/hello-plugin/hello"));
        assert!(text(&server).starts_with("<p>&lt;b&gt;, admin!</p>"));
    }

    fn text(server: &FakeHost) -> String {
        String::from_utf8(server.page("hello").unwrap().body).unwrap()
    }
}
