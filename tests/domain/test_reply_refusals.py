"""Whom a refusal is about: in words, orders and languages that no rule was written for, and as software quotes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product

import pytest

from domain.replies import Class, Object, classify

IP = "198.51.100.7"

CLIENTS = [
    *(
        IP,
        f"[{IP}]",
        "Your IP",
        f"Your IP address {IP}",
        f"IP address ({IP})",
        "Your mail server",
        f"Your server [{IP}]",
    ),
    *(
        "Your host",
        "The sending server",
        f"The connecting host {IP}",
        f"Client host mail.example.org[{IP}]",
        "Sender IP",
    ),
    *("Your MTA", "This IP address", f"remote host {IP}", f"The server at {IP}", "Your network", "AS64500", "Your ISP"),
]
BLOCKED = [
    *("is blocked", "was refused", "is banned from this server", "is on our blacklist", "is listed at bl.example.net"),
    *("appears on a DNSBL", "has a poor reputation", "has a bad sender score", "is not trusted here", "is not welcome"),
    *(
        "is not allowed to connect",
        "is denied access",
        "is a known source of spam",
        "sends spam",
        "sent us too much spam",
    ),
    *("has been reported for abuse", "seems to be compromised", "is part of a botnet", "belongs to a dynamic range"),
    *("looks like a residential address", "is temporarily blocked due to spam complaints", "is an open proxy"),
    *("may not send mail here", "is flagged as a spammer", "must be delisted first", "is in the Spamhaus PBL"),
]
SLOWED = [
    *("is sending too fast", "sends too much mail", "has sent too many messages in the last hour", "is rate limited"),
    *(
        "exceeded the hourly message limit",
        "has been throttled due to low reputation",
        "is limited to 100 messages per hour",
    ),
    *(
        "is temporarily deferred due to user complaints",
        "is over its mail quota for today",
        "has an unusual volume of mail",
    ),
]
OTHERS = [
    *("The mailbox", "<ada@example.org>", "The recipient", "The recipient's account", "The attachment", "The URL"),
    *("The link in your message", "Sender address <ada@example.org>", "The sender's domain example.org", "Your domain"),
    *("The From header", "The subject", "The account", "Your account", "The content of your message", "Helo name"),
    *("The DKIM signature", "The DMARC policy", "Your SPF record"),
]
REFUSED = [
    *("is blocked", "was refused", "has been rejected", "is not accepted", "is on a blacklist", "has a bad reputation"),
    *("is denied by policy", "exceeds the limit", "was not found", "is not permitted here", "contains spam"),
]


@pytest.mark.parametrize("what", BLOCKED)
def test_whatever_the_address_is_called_its_refusal_is_an_event(what: str) -> None:
    for who in CLIENTS:
        reply = classify(f"550 5.7.1 {who} {what}")
        assert reply.ip_event, (who, reply)


@pytest.mark.parametrize("what", SLOWED)
def test_so_is_its_slowing(what: str) -> None:
    for who in CLIENTS:
        reply = classify(f"421 4.7.0 {who} {what}")
        assert reply.class_ is Class.IP_THROTTLED, (who, reply)


@pytest.mark.parametrize(("who", "what"), list(product(OTHERS, REFUSED)))
def test_the_refusal_of_something_else_is_none(who: str, what: str) -> None:
    reply = classify(f"550 5.7.1 {who} {what}")
    assert not reply.ip_event, reply


#: Blocks and limits of the address as servers of other countries write them.
LANGUAGES = [
    (f"554 Die einliefernde IP-Adresse {IP} wurde wegen Spam-Versands gesperrt", Class.IP_BLOCKED),
    ("550 Ihre E-Mail wurde abgelehnt, da der sendende Server auf einer Blacklist steht", Class.IP_BLOCKED),
    ("421 Ihre IP-Adresse sendet zu viele E-Mails, bitte spaeter erneut versuchen", Class.IP_THROTTLED),
    (f"550 Votre adresse IP {IP} est sur liste noire", Class.IP_BLOCKED),
    ("550 5.7.1 Message refusé : l'adresse IP du serveur émetteur est blacklistée", Class.IP_BLOCKED),
    ("421 Trop de messages depuis votre adresse IP, ralentissez", Class.IP_THROTTLED),
    ("554 El servidor remitente ha sido bloqueado por mala reputación", Class.IP_BLOCKED),
    (f"451 Demasiados mensajes desde su IP {IP}", Class.IP_THROTTLED),
    (f"554 5.7.1 Il tuo indirizzo IP {IP} risulta in blacklist", Class.IP_BLOCKED),
    ("554 O servidor de envio foi bloqueado por envio de spam", Class.IP_BLOCKED),
    (f"550 Uw IP-adres {IP} staat op een zwarte lijst", Class.IP_BLOCKED),
    ("554 Serwer nadawcy został zablokowany z powodu spamu", Class.IP_BLOCKED),
    (f"550 Ваш IP-адрес {IP} находится в чёрном списке", Class.IP_BLOCKED),
    ("451 Слишком много писем с вашего IP-адреса", Class.IP_THROTTLED),
    (f"550 Spojení z adresy {IP} odmítnuto, adresa je na blacklistu", Class.IP_BLOCKED),
    (f"550 Din IP-adress {IP} finns på en svart lista", Class.IP_BLOCKED),
    ("550 Din IP-adresse er sortlistet", Class.IP_BLOCKED),
    ("550 IP adresiniz kara listede", Class.IP_BLOCKED),
    (f"550 送信元IPアドレス {IP} からの接続は拒否されました", Class.IP_BLOCKED),
    (f"553 您的服务器IP {IP} 被列入黑名单，请联系管理员", Class.IP_BLOCKED),
    ("451 来自该IP的邮件发送过于频繁", Class.IP_THROTTLED),
    (f"550 귀하의 IP {IP} 는 스팸 발송으로 차단되었습니다", Class.IP_BLOCKED),
    ("550 5.7.1 Ihre IP-Adresse hat keinen Reverse-DNS-Eintrag", Class.SENDER_SETUP),
    ("550 Su servidor no tiene registro PTR, conexión rechazada", Class.SENDER_SETUP),
    ("550 для вашего IP нет обратной записи PTR", Class.SENDER_SETUP),
    ("421 Zu viele Verbindungen von Ihrer IP", Class.RATE_LIMITED),
    ("554 Nachricht wurde als Spam eingestuft und abgelehnt", Class.CONTENT),
    ("550 Usuario desconocido, su IP ha sido registrada", Class.UNKNOWN_USER),
]


@pytest.mark.parametrize(("text", "class_"), LANGUAGES)
def test_refusals_in_other_languages(text: str, class_: Class) -> None:
    assert classify(text).class_ is class_, classify(text).rule


#: Replies of more than one sentence or reason: which of them counts.
REASONS = [
    (
        f"571 Mail from {IP} is blocked. Make sure that SPF, DKIM and reverse DNS are right, then ask us.",
        Class.IP_BLOCKED,
    ),
    (f"550 5.7.1 SPF and DKIM are fine but {IP} has a poor reputation", Class.IP_BLOCKED),
    ("550 Your IP is on our blocklist. Causes can be spam content, unknown recipients, attachments.", Class.IP_BLOCKED),
    ("550 Access denied - bad HELO name or blacklisted IP (your IP is blacklisted)", Class.IP_BLOCKED),
    (f"550 5.1.1 Unknown recipient, host {IP} will be blocked after further attempts", Class.UNKNOWN_USER),
    ("550 no such user; repeated attempts will get your IP blacklisted", Class.UNKNOWN_USER),
    (f"552 5.2.2 Over quota, mail from {IP} not taken", Class.MAILBOX_FULL),
    (f"554 Message refused: virus Eicar found, sent by {IP}", Class.CONTENT),
    (f"550 HELO example.local from {IP} is bogus, refused", Class.SENDER_SETUP),
    (f"550 5.7.1 rejected: message lacks a Date header, from {IP}", Class.MALFORMED),
    (f"503 5.5.1 Bad sequence of commands, client {IP}", Class.PROTOCOL),
    (f"550 5.7.1 SPF fail: {IP} not in the list of hosts of example.org", Class.AUTHENTICATION),
    (f"451 IP {IP} greylisted for 600 seconds", Class.GREYLISTED),
    ("451 4.7.1 cannot reach the blocklist server; deferred", Class.RECEIVER_FAULT),
    (f"450 Too many connections from {IP}", Class.RATE_LIMITED),
    (f"421 mx.example.net - Too many invalid recipients from host {IP}", Class.IP_THROTTLED),
    (f"554 5.7.1 see http://www.example.net/lookup?ip={IP}", Class.IP_BLOCKED),
]


@pytest.mark.parametrize(("text", "class_"), REASONS)
def test_which_of_several_reasons_counts(text: str, class_: Class) -> None:
    assert classify(text).class_ is class_, classify(text).rule


def test_a_network_is_told_from_an_address() -> None:
    assert classify("550 5.7.1 we refuse all mail of your network").object is Object.NETBLOCK
    assert classify("550 5.7.1 your IP is refused").object is Object.IP


def _lines(reply: str, end: str) -> str:
    code, words = reply[:3], reply[4:].split(" ")
    parts = [" ".join(words[place : place + 4]) for place in range(0, len(words), 4)]
    return end.join(f"{code}{'-' if part is not parts[-1] else ' '}{part}" for part in parts)


#: How software quotes a reply. The address in it is that of the receiver.
QUOTED: list[Callable[[str], str]] = [
    lambda reply: f"host mx.example.net[203.0.113.9] said: {reply} (in reply to RCPT TO command)",
    lambda reply: f"SMTP error from remote mail server after RCPT TO:<ada@example.org>: {reply}",
    lambda reply: (
        f"T=remote_smtp H=mx.example.net [203.0.113.9]: SMTP error from remote mail server after end of data: {reply}"
    ),
    lambda reply: f"203.0.113.9 does not like recipient. Remote host said: {reply} Giving up on 203.0.113.9.",
    lambda reply: f"... while talking to mx.example.net.: >>> RCPT To:<ada@example.org> <<< {reply}",
    lambda reply: f"Diagnostic-Code: smtp; {reply}",
    lambda reply: f"dial tcp 192.0.2.1:0->203.0.113.9:25: {reply}",
    lambda reply: f"Remote Server returned '{reply}'",
    lambda reply: json.dumps({"reason": reply, "type": "bounce"}),
    lambda reply: _lines(reply, "\r\n"),
    lambda reply: _lines(reply, "\\r\\n"),
    lambda reply: _lines(reply, " "),
    lambda reply: f"{reply} - k12-20020a05600c1c0c00b003a54fabc123si123456wms.12",
]


@pytest.mark.parametrize("quote", QUOTED)
def test_a_quoted_reply_reads_as_it_stands_alone(quote: Callable[[str], str]) -> None:
    for text, _ in (
        *LANGUAGES,
        *REASONS,
        ("554 Access denied for the user", None),
        ("550 Message rejected by policy", None),
    ):
        alone, quoted = classify(text), classify(quote(text))
        assert (quoted.class_, quoted.code) == (alone.class_, alone.code), (quote(text), quoted.rule, alone.rule)


def test_who_is_refused_at_the_greeting_is_refused_for_its_address() -> None:
    assert classify("host mx.example.net[203.0.113.9] refused to talk to me: 550 [S10] Blocked").ip_event
    assert not classify(
        "host mx.example.net[203.0.113.9] said: 550 [S10] Blocked (in reply to RCPT TO command)"
    ).ip_event
    assert not classify("host mx.example.net[203.0.113.9] refused to talk to me: 554 maintenance, try later").ip_event


def test_letters_that_no_store_takes_are_not_made_of_escapes() -> None:
    text = classify("550 no such user \\ud83d \\u0000")
    assert text.class_ is Class.UNKNOWN_USER


#: A look-up that failed, in whatever words: the receiver's trouble, though a list or an address is named.
LOOK_UPS_THAT_FAILED = [
    "451 4.3.0 the DNSBL did not answer, come back later",
    "451 4.7.1 Timeout while querying the reputation service",
    f"450 4.7.1 Unable to check {IP} against our blocklist",
    "451 4.3.5 Blacklistenabfrage fehlgeschlagen",
    "451 Le service de reputation ne repond pas",
    "451 El servidor de listas negras no responde",
    "451 Серверы чёрных списков не отвечают",
    "451 4.4.3 Temporary error in the lookup of bl.example.net",
    "450 4.7.0 rbl server unreachable, try later",
]

#: The IP stands in the message, or is listed by its reader: not at the other end of the connection.
NOT_THE_CLIENT = [
    f"554 5.7.1 Rejected: {IP} in a Received header is on our blacklist",
    "550 5.7.1 The body of your message mentions an IP address that is blacklisted",
    f"554 El cuerpo del mensaje menciona la IP {IP}, incluida en una lista negra",
    f"554 Im Header der Nachricht steht {IP}, auf einer Sperrliste gelistet",
    "550 5.7.1 Der Empfaenger hat Ihre IP auf seine persoenliche schwarze Liste gesetzt",
    "550 5.7.1 Le destinataire a mis votre adresse sur sa liste noire",
    f"554 5.7.1 The mail from {IP} was refused. It was classified as spam.",
    "550 rejected, request (ID:1.2.3.4)",
    f"554 Die Received-Zeile nennt {IP}, einen gesperrten Rechner",
    f"550 5.7.1 Mail that claims to be from our domain is not taken from {IP}",
    "550 5.7.1 Your server may not send as our domain",
    f"451 4.7.1 Host {IP} does not retry as grey listing asks for",
    f"554 5.7.1 The name of your host and {IP} do not match",
    f"550 5.7.1 <sales@example.org>... Messages from this address is blocked. http://example.net/?ip={IP}",
    "550 5.7.1 [A1] Message blocked. Ask your mail server's operator about it.",
    f"554 5.7.1 (RTR:CH) there is no reverse DNS for {IP}",
]

#: Words of another reason beside a plain refusal of the host, and plain refusals in many languages.
THE_CLIENT_ALL_THE_SAME = [
    f"450 4.7.1 Service unavailable; Client host [{IP}] blocked using dnsbl.example.net",
    "550 We refuse all mail from your host because it spreads a virus",
    f"554 5.7.1 Connections from your network are not accepted, too many unknown recipients ({IP})",
    f"554 Service not available. The IP address {IP} is blocked",
    "554 BAD_IP",
    f"550 Your host {IP} was blackholed here",
    f"421 4.7.0 Your IP {IP} used up its daily sending quota",
    f"421 connection refused from {IP}",
    "554 5.7.1 This country is blocked",
    "554 5.7.1 client is banned",
    f"550 host is on our own list of spammers, users complained (client {IP})",
    f"550 Su IP {IP} bloqueada: 15% de destinatarios inexistentes",
    f"450 4.7.1 Your server {IP} is known for mass mailings",
    f"554 5.7.1 Ο διακομιστής σας {IP} έχει αποκλειστεί",
    f"550 השרת שלך {IP} חסום",
    f"550 عنوان الخادم {IP} محظور",
    f"550 Địa chỉ IP {IP} của bạn bị chặn",
    f"550 Alamat IP {IP} diblokir",
    f"550 Vaš strežnik {IP} je na črnem seznamu",
    f"550 Vaš poslužitelj {IP} je na crnoj listi",
    f"550 Ваш сервер {IP} у чорному списку",
    f"550 Serverul dvs. {IP} este pe o listă neagră",
    f"550 Jūsų serveris {IP} yra juodajame sąraše",
    f"550 Din server {IP} är svartlistad",
    f"550 IP-osoite {IP} on mustalla listalla",
    f"550 Az Ön szervere {IP} feketelistán van",
]


@pytest.mark.parametrize("text", LOOK_UPS_THAT_FAILED)
def test_a_look_up_that_failed_is_the_receivers_trouble(text: str) -> None:
    assert classify(text).class_ is Class.RECEIVER_FAULT


@pytest.mark.parametrize("text", NOT_THE_CLIENT)
def test_an_ip_in_the_message_or_on_a_readers_list_is_no_event(text: str) -> None:
    assert not classify(text).ip_event


@pytest.mark.parametrize("text", THE_CLIENT_ALL_THE_SAME)
def test_a_refusal_of_the_host_stands_beside_other_words_and_in_other_languages(text: str) -> None:
    assert classify(text).ip_event


#: What a refusal is about, in other languages than English.
ABOUT_ELSEWHERE = [
    ("550 Příjemce odmítá poštu, zablokoval odesílatele", Class.POLICY),
    ("550 Der Nutzer hat Sie blockiert", Class.POLICY),
    ("550 El destinatario ha bloqueado sus mensajes", Class.POLICY),
    ("550 受信者が受信を拒否しています", Class.POLICY),
    ("554 Wiadomość odrzucona, zawiera niedozwolony załącznik", Class.CONTENT),
    ("554 Сообщение отклонено: распознано как спам", Class.CONTENT),
    ("554 La pièce jointe est refusée", Class.CONTENT),
    ("554 邮件附件包含病毒,已被拒绝", Class.CONTENT),
    ("450 Chybí reverzní záznam", Class.SENDER_SETUP),
    ("550 Der HELO-Name passt nicht zur Adresse", Class.SENDER_SETUP),
    ("450 4.7.1 Graue Liste aktiv, bitte warten", Class.GREYLISTED),
    ("450 4.7.1 灰名单,请稍后再试", Class.GREYLISTED),
    ("450 Se ha superado el limite de mensajes por hora del usuario", Class.RATE_LIMITED),
    ("550 5.1.1 Destinatario desconocido", Class.UNKNOWN_USER),
    ("552 La boite du destinataire est pleine", Class.MAILBOX_FULL),
]


@pytest.mark.parametrize(("text", "class_"), ABOUT_ELSEWHERE)
def test_what_a_refusal_is_about_is_read_in_other_languages(text: str, class_: Class) -> None:
    assert classify(text).class_ is class_


def test_a_name_that_is_only_mentioned_is_not_who_speaks() -> None:
    assert classify("host mx1.privateemail.com[203.0.113.9] said: 550 no such user").provider == ""
    assert classify("550 Mail from gmail.com is only accepted from authorized ranges").provider == ""
    assert classify("host mx00.mail.com[203.0.113.9] said: 550 no such user").provider == "gmx"
    assert classify("host mx.interia.pl[203.0.113.9] said: 550 no such user").provider == "interia"


@pytest.mark.parametrize(
    ("text", "class_"),
    [
        ("451 4.7.1 Sorry, we cannot scan your mail for viruses right now", Class.RECEIVER_FAULT),
        ("550 Virus found, mail refused", Class.CONTENT),
        ("550 Our server denies the sender", Class.SENDER_REFUSED),
        ("550 5.7.1 Forged sender", Class.SENDER_REFUSED),
        ("554 Some lines are longer than allowed", Class.MALFORMED),
        ("550 nosuchuser", Class.UNKNOWN_USER),
        ("550 The sender domain demands an encrypted connection", Class.TLS),
        ("451 Temporary failure of the recipient callout", Class.RECEIVER_FAULT),
    ],
)
def test_reasons_that_share_words_with_others_are_told_apart(text: str, class_: Class) -> None:
    assert classify(text).class_ is class_
