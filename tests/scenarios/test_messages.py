"""Delivery of messages: RFC 6121 §5 and the table of §8.5."""

import pytest

from play import ns


@pytest.mark.parametrize("kind", ["chat", "normal", "headline"])
def test_a_message_reaches_the_full_jid(stage, kind):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    identity = romeo.message(juliet, "hi", kind)
    message = juliet.expect_message("hi", from_=romeo, kind=kind)
    assert (message.get("id"), message.get("to")) == (identity, juliet.jid)


@pytest.mark.parametrize("kind", ["chat", "normal", "headline"])
def test_a_message_reaches_the_bare_jid(stage, kind):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.message(juliet.bare, "hi", kind)
    juliet.expect_message("hi", from_=romeo, kind=kind)


def test_a_message_without_type_is_normal(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.send(f"<message to='{juliet.bare}'><body>hi</body></message>")
    juliet.expect_message("hi", from_=romeo, kind="normal")


def test_a_message_without_to_comes_back_to_oneself(stage):
    """RFC 6120 §8.1.1.1: treated as if addressed to the sender's bare JID."""
    juliet = stage.enter("juliet")
    juliet.send("<message type='chat'><body>note</body></message>")
    juliet.expect_message("note", from_=juliet)


def test_everything_inside_arrives_unchanged(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    extra = "<x xmlns='urn:example:x' a='&lt;&quot;'>a &amp; b<y:z xmlns:y='urn:example:y' y:q='ö'/>\U0001f525</x>"
    romeo.message(juliet, "5 < 6 && 'ü'", extra=extra)
    message = juliet.expect_message("5 < 6 && 'ü'")
    inside = ns.child(message, "urn:example:x", "x")
    assert (inside.get("a"), inside.text, inside[0].tail) == ('<"', "a & b", "\U0001f525")
    assert inside[0].attrib == {"{urn:example:y}q": "ö"}


def test_the_language_is_kept(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.send(f"<message to='{juliet.jid}' type='chat' xml:lang='it'><body>ciao</body></message>")
    message = juliet.expect_message("ciao")
    assert message.get("{http://www.w3.org/XML/1998/namespace}lang") == "it"


def test_order_is_kept(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    wanted = [str(number) for number in range(200)]
    for body in wanted:
        romeo.message(juliet, body)
    assert [ns.body(juliet.expect_message(from_=romeo)) for _ in wanted] == wanted


@pytest.mark.parametrize("kind", ["chat", "normal"])
def test_the_bare_jid_means_the_highest_priority(stage, kind):
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    high, low = stage.online(user, "high", 5), stage.online(user, "low", 1)
    high.forget(), low.forget()
    romeo.message(user, "hi", kind)
    high.expect_message("hi")
    low.expect_nothing(romeo)


def test_a_negative_priority_receives_nothing_for_the_bare_jid(stage):
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    shy, open_ = stage.online(user, "shy", -1), stage.online(user, "open", 0)
    shy.forget()
    romeo.message(user, "hi")
    open_.expect_message("hi")
    shy.expect_nothing(romeo)


def test_a_negative_priority_still_has_its_full_jid(stage):
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    shy = stage.online(user, "shy", -1)
    romeo.message(shy, "hi")
    shy.expect_message("hi", from_=romeo)


def test_only_negative_resources_count_as_offline(stage):
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    shy = stage.online(user, "shy", -1)
    romeo.message(user, "later")
    shy.expect_nothing(romeo)
    stage.online(user, "open").expect_message("later", from_=romeo)


def test_a_headline_goes_to_every_resource(stage):
    """RFC 6121 §8.5.2.1.1: to all with non-negative priority."""
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    resources = [stage.online(user, str(priority), priority) for priority in (0, 5)]
    romeo.message(user, "news", "headline")
    for resource in resources:
        resource.expect_message("news", kind="headline")


def test_groupchat_to_a_bare_jid_is_refused(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.message(juliet.bare, "hi", "groupchat")
    romeo.expect_error("service-unavailable", from_=juliet.bare)
    juliet.expect_nothing(romeo)


def test_a_chat_to_a_gone_resource_goes_to_the_account(stage):
    """RFC 6121 §8.5.3.2.1: as if sent to the bare JID."""
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.message(f"{juliet.bare}/gone", "hi")
    juliet.expect_message("hi", from_=romeo)


@pytest.mark.parametrize("kind", ["normal", "headline", "groupchat"])
def test_a_gone_resource_is_unavailable(stage, kind):
    """RFC 6121 §8.5.3.2.1: refused or ignored, and never given to another resource."""
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.message(f"{juliet.bare}/gone", "hi", kind)
    romeo.expect_error("service-unavailable", from_=f"{juliet.bare}/gone")
    juliet.expect_nothing(romeo)


def test_an_error_for_a_gone_resource_is_dropped(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.message(f"{juliet.bare}/gone", "hi", "error")
    juliet.expect_nothing(romeo)
    romeo.expect_nothing()


def test_equal_priorities_both_receive(stage):
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    both = [stage.online(user, resource, 3) for resource in ("left", "right")]
    romeo.message(user, "hi")
    for client in both:
        client.expect_message("hi", from_=romeo)


def test_an_error_never_answers_an_error(stage):
    romeo = stage.enter("romeo")
    romeo.message("nobody-at-all@localhost", "hi", "error")
    romeo.presence("error", to="nobody-at-all@localhost")
    romeo.send("<iq type='error' id='e1' to='nobody-at-all@localhost'/>")
    romeo.send("<iq type='result' id='r1' to='localhost'/>")
    romeo.expect_nothing()


def test_the_server_itself_reads_no_mail(stage):
    """RFC 6120 §10.5.1: what it cannot handle comes back as an error."""
    romeo = stage.enter("romeo")
    romeo.message("localhost", "hi")
    romeo.expect_error("service-unavailable", from_="localhost")


def test_an_unknown_user_is_unavailable(stage):
    romeo = stage.enter("romeo")
    identity = romeo.message("nobody-at-all@localhost", "hi")
    error = romeo.expect_error("service-unavailable", from_="nobody-at-all@localhost")
    assert error.get("id") == identity


def test_the_sender_is_stamped(stage):
    """ATTACKS 19."""
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.send(f"<message to='{juliet.jid}' type='chat' from='{romeo.bare}'><body>hi</body></message>")
    juliet.expect_message("hi", from_=romeo)


def test_a_forged_sender_is_refused(stage):
    """ATTACKS 19, RFC 6120 §8.1.2.1: invalid-from ends the stream; or the true sender is stamped."""
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.send(f"<message to='{juliet.jid}' type='chat' from='admin@localhost'><body>hi</body></message>")
    try:
        romeo.sync()
    except AssertionError:
        juliet.expect_nothing()
    else:
        juliet.expect_message("hi", from_=romeo)


@pytest.mark.needs("strict")
def test_foreign_ids_of_ours_are_taken_out(stage):
    """ATTACKS 22: only the server says `by` whose archive an id counts; every forged copy goes."""
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    forged = f"<stanza-id xmlns='{ns.STANZA_ID}' by='{juliet.bare}' id='forged'/>"
    romeo.message(juliet, "hi", extra=forged + forged)
    message = juliet.expect_message("hi")
    ids = [e.get("id") for e in message.iter(f"{{{ns.STANZA_ID}}}stanza-id")]
    assert "forged" not in ids


def test_a_body_of_many_bytes_arrives(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    body = "ä" * 50_000
    romeo.message(juliet, body)
    juliet.expect_message(body)


@pytest.mark.parametrize("bad", ["@localhost", "a@b@localhost", "romeo@localhost/", "ro meo@localhost"])
@pytest.mark.needs("strict")
def test_a_malformed_address_is_named(stage, bad):
    romeo = stage.enter("romeo")
    romeo.message(bad, "hi")
    romeo.expect(lambda s: ns.condition(s) == "jid-malformed", "jid-malformed")
