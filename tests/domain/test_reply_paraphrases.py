"""Refusals in everyday words: the sending side by what it does, and what shares its words with it."""

from __future__ import annotations

from itertools import product

import pytest

from domain.replies import Class, classify

IP = "198.51.100.7"

#: The sending side, named by what it does or where it stands.
SENDING_SIDE = [
    *("The machine you are using to send mail", "The server delivering this message", "Your outbound relay"),
    *(f"The peer {IP}", "Your hosting provider", "The host handing us this message", "This network", "Your gateway"),
]
TURNED_AWAY = [
    *("is shut out here", "was turned away", "has been locked out", "is considered unsafe", "is notorious for abuse"),
    *("has a bad name with us", "has a track record of spam", "was reported by our users", "has been denylisted"),
    *("is flagged by threat intelligence", "hit our spam traps", "is cut off for misuse", "is not one we trust"),
]
HELD_BACK = [
    *("has used up its allowance", "is being shaped", "delivers too many mails per hour", "is on probation"),
    *("is above the ceiling of messages", "exceeds its budget; retry in 30 minutes", "is flooding us with mail"),
]


@pytest.mark.parametrize(("who", "what"), list(product(SENDING_SIDE, TURNED_AWAY)))
def test_who_is_turned_away_in_everyday_words_is_blocked(who: str, what: str) -> None:
    reply = classify(f"550 5.7.1 {who} {what}")
    assert reply.class_ is Class.IP_BLOCKED, reply


@pytest.mark.parametrize(("who", "what"), list(product(SENDING_SIDE, HELD_BACK)))
def test_who_is_held_back_in_everyday_words_is_slowed(who: str, what: str) -> None:
    reply = classify(f"421 4.7.0 {who} {what}")
    assert reply.class_ is Class.IP_THROTTLED, reply


#: A kind of reason each, with the connecting address beside it.
ABOUT = {
    Class.CONTENT: [
        f"550 5.7.1 Message rejected, too many spam characteristics (client {IP})",
        f"550 5.7.1 The newsletter you're sending from {IP} resembles known spam",
        f"554 Text refused. Your server {IP} is welcome, this letter is not.",
    ],
    Class.AUTHENTICATION: [
        f"550 5.7.1 {IP} may not send on behalf of example.com",
        f"550 {IP} no está autorizado a enviar correo de example.com",
        f"550 5.7.1 Unauthorised use of domain example.com by {IP}",
        f"451 4.7.26 no DKIM, no SPF; mail from {IP} rate limited",
        f"550 5.7.1 {IP} not authorised by sender.example",
        f"550 Softfail: example.com does not designate {IP}",
    ],
    Class.SENDER_SETUP: [
        f"550 Your host {IP} greets us with a name that isn't its own",
        f"550 5.7.1 Client {IP} has no name in DNS and is refused",
        f"554 5.7.1 We reject servers with no valid PTR. {IP} has none.",
        f"550 Votre serveur {IP} n'a pas de nom dans le DNS",
    ],
    Class.UNKNOWN_USER: [
        f"550 5.1.1 Nobody with that name here, refused for {IP}",
        f"550 mail for unknown person refused, client {IP}",
        "550 BAD_RECIPIENT",
        "550 No hay ningún buzón con ese nombre",
    ],
    Class.INACTIVE: [
        "550 Esta casilla ha expirado",
        "554 delivery error: dd This user's account is disabled or discontinued [-5] - mta1.mail.yahoo.com",
        "550 5.2.1 The account of this recipient was blocked by the administrator",
    ],
    Class.POLICY: [
        "550 The addressee put your IP on his own block list",
    ],
    Class.RECEIVER_FAULT: [
        f"451 4.3.0 Our blocklist service can't be reached, can't decide on {IP}",
        "421 We are short of disk and cannot take mail from your host now",
        "451 rbl.example.net gives no answer",
    ],
    Class.RELAY_DENIED: [f"554 5.7.1 We do not forward for {IP}", f"550 Ретрансляция запрещена для {IP}"],
    Class.TLS: [f"530 5.7.0 We speak only TLS with {IP}", f"530 Verschlüsselung ist Pflicht für {IP}"],
    Class.LOGIN: [f"550 5.7.1 [{IP}] must log in before sending"],
    Class.RATE_LIMITED: [
        "421 4.7.0 Only 20 sessions at a time from one IP",
        f"450 4.2.1 This mailbox gets mail faster than it can take it, {IP}",
    ],
    Class.GREYLISTED: [
        f"451 4.7.1 New pair of sender and host {IP}, please retry after 300s",
        f"451 Unbekannter Server {IP}, bitte in 5 Minuten erneut versuchen",
    ],
    Class.DOMAIN_BLOCKED: [
        "550 5.7.1 Mail from example.org refused: domain registered two days ago",
        "550 d=example.com has a bad DKIM reputation",
    ],
    Class.SENDER_REFUSED: [
        "550 Mailings from newsletter@example.com are blocked at this site",
        "550 Absenderadresse gesperrt",
    ],
}


@pytest.mark.parametrize(("class_", "text"), [(class_, text) for class_, texts in ABOUT.items() for text in texts])
def test_another_reason_stands_though_the_address_is_named(class_: Class, text: str) -> None:
    assert classify(text).class_ is class_, classify(text).rule


@pytest.mark.parametrize(
    "host", ["mx.receiver.example", "mail.recipient.example", "relay.sender.example", "spam.filter.example"]
)
def test_words_inside_a_host_name_decide_nothing(host: str) -> None:
    assert classify(f"421 {host}: new sending IP {IP} has used up its allowance for today").ip_event
    assert classify(f"554 5.7.1 {host}: client [{IP}] is unwelcome here").ip_event


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("554 IP_BLOCKED", True),
        ("451 CONN_REFUSED by backend store", False),
        ("550 HOST-DENY rule of recipient user@example.org", False),
        ("554 SPAM_HOST in link of message", False),
        ("550 5.7.1 Your country is not allowed to send to us", True),
        ("550 The recipient does not wish mail from your country", False),
        ("550 Messages in Cyrillic are refused; country charset not accepted", False),
        ("550 We do not accept mails from your server with attachments", False),
        ("550 5.1.1 no mail from your server for a@example.org: user unknown", False),
        ("550 user ib110 disabled", False),
        (f"421 4.7.0 Demasiados mensajes desde {IP} en la última hora, intente más tarde", True),
        ("550 5.7.1 Too many spam messages from your gateway, it is now blocked", True),
        ("554 5.7.1 Spam message rejected; your server is fine", False),
        (f"550-{IP} is not welcome\r\n550 see our policy page", True),
        (f"550 message refused: score 12.0 exceeds 8.0 ({IP})", False),
        ("550 A picture in your mail is hosted on a blacklisted server", False),
        ("550 The sender is in a black list hostkarma.junkemailfilter.com", True),
        ("554 Sending address not accepted due to spam filter", False),
        ("550 5.7.1 You are using a mass mailer, so this is bounced", False),
    ],
)
def test_tags_countries_and_lists_name_whom_they_mean(text: str, event: bool) -> None:
    assert classify(text).ip_event is event, classify(text).rule


@pytest.mark.parametrize(
    ("text", "host", "class_"),
    [
        (f"550 {IP} has sent to too many recipients this hour. IB607", "", Class.IP_THROTTLED),
        ("554 see IB113", "p3plibsmtp01.prod.phx3.secureserver.net", Class.IP_BLOCKED),
        ("535 Authentication not allowed on IBSMTP Servers. IB401", "", Class.LOGIN),
        ("550 5.2.0 BL000111", "mx1.comcast.net", Class.IP_BLOCKED),
        ("554 AUP#I-1260", "", Class.POLICY),
        ("552 AUP#In-1530", "", Class.TOO_LARGE),
        ("554 AUP#CXMJ", "", Class.SENDER_REFUSED),
        ("550 Mail rejete. Mail rejected. OFR_506 [506]", "", Class.CONTENT),
        ("450 MI:CEL", "", Class.PROTOCOL),
        ("550 MI:NHD", "", Class.SENDER_SETUP),
        ("501 Connection rejected by policy [7.7] 20805, see www.messagelabs.com/support", "", Class.IP_BLOCKED),
        ("unable to get mx info: failed to get IPs from PTR record: unrecognized address", "", Class.NETWORK),
    ],
)
def test_codes_mean_what_the_pages_of_their_owners_say(text: str, host: str, class_: Class) -> None:
    assert classify(text, host=host).class_ is class_, classify(text, host=host).rule


@pytest.mark.parametrize(
    ("text", "class_"),
    [
        (f"553 5.7.1 Client host rejected: no relaying, and your IP is identified as spammer ({IP})", Class.IP_BLOCKED),
        ("550 The account was blocked by the recipient", Class.SENDER_REFUSED),
        ("501 Envelope sender's domain has a null MX", Class.SENDER_SETUP),
        ("554 5.4.4 MX loop to this server", Class.LOOP),
        ("450 4.7.0 This recipient wants secure transport", Class.TLS),
        ("451 Your daily mail quota is spent", Class.RATE_LIMITED),
        ("550 Message for shop.example is only accepted from approved hosts of the domain", Class.AUTHENTICATION),
        ("550 5.7.1 keyword filter", Class.CONTENT),
        ("550 HELO_BANNED", Class.DOMAIN_BLOCKED),
        ("550 Rejected by header based manually Blocked Senders: a@example.com", Class.SENDER_REFUSED),
    ],
)
def test_what_shares_its_words_with_another_reason(text: str, class_: Class) -> None:
    assert classify(text).class_ is class_, classify(text)


def test_envelope_and_greeting_behind_a_reply_in_a_log_are_no_words_of_it() -> None:
    said = "550 5.1.1 <a@example.org>: Recipient address rejected: User unknown in local recipient table"
    logged = f"NOQUEUE: reject: RCPT from mail.example.com[{IP}]: {said}; from=<b@example.com> to=<a@example.org>"
    assert classify(f"{logged} proto=ESMTP helo=<unknown.example.com>").class_ is classify(said).class_
    assert classify(said).class_ is Class.UNKNOWN_USER
