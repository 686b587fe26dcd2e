//! From the bytes of a question to the bytes of an answer. Pure, except for what is left to be forwarded.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::limits;

use super::zone::{Kind, Meaning};

/// A question that was understood.
#[derive(Debug, Clone)]
pub(super) struct Question {
    request: Message,
    pub(super) query: Query,
    /// Lower case, without the final dot.
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// Reads a question; otherwise gives the answer that says what is wrong with it, or none to what is no question at all.
pub(super) fn read(bytes: &[u8]) -> Result<Question, Option<Vec<u8>>> {
    let request = Message::from_vec(bytes).map_err(|_| None)?;
    if request.metadata.message_type != MessageType::Query {
        return Err(None);
    }
    let refuse = |code| Err(Some(encode(respond(&request, code, Vec::new(), false), usize::MAX)));
    if request.metadata.op_code != OpCode::Query {
        return refuse(ResponseCode::NotImp);
    }
    let [query] = request.queries.as_slice() else { return refuse(ResponseCode::FormErr) };
    let transfer = matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR);
    if query.query_class() != DNSClass::IN || transfer {
        return refuse(ResponseCode::Refused);
    }
    let query = query.clone();
    let name = query.name().to_lowercase().to_ascii().trim_end_matches('.').to_owned();
    let kind = match query.query_type() {
        RecordType::A => Kind::V4,
        RecordType::AAAA => Kind::V6,
        RecordType::PTR => reverse_address(query.name()).map_or(Kind::Other, Kind::Reverse),
        _ => Kind::Other,
    };
    Ok(Question { request, query, name, kind })
}

/// The single address that a name below `in-addr.arpa` or `ip6.arpa` stands for.
fn reverse_address(name: &Name) -> Option<IpAddr> {
    let net = name.parse_arpa_name().ok()?;
    (net.prefix_len() == net.max_prefix_len()).then(|| net.addr())
}

impl Question {
    /// The answer to a name of ours; `None` for a foreign one. `turn` rotates the addresses.
    pub(super) fn answer(&self, meaning: Meaning, turn: usize, limit: usize) -> Option<Vec<u8>> {
        let (code, data) = match meaning {
            Meaning::Foreign => return None,
            Meaning::Refused => (ResponseCode::Refused, Vec::new()),
            Meaning::Unknown => (ResponseCode::NXDomain, Vec::new()),
            Meaning::Nothing => (ResponseCode::NoError, Vec::new()),
            Meaning::Name(name) => match Name::from_ascii(format!("{name}.")) {
                Ok(name) => (ResponseCode::NoError, vec![RData::PTR(PTR(name))]),
                Err(_) => (ResponseCode::NXDomain, Vec::new()),
            },
            Meaning::Addresses(mut ips) => {
                let turn = turn % ips.len().max(1);
                ips.rotate_left(turn);
                (ResponseCode::NoError, ips.into_iter().map(address).collect())
            }
        };
        // Nothing of ours may be remembered: backends come and go.
        let records = data.into_iter().map(|data| Record::from_rdata(self.query.name().clone(), 0, data));
        Some(encode(respond(&self.request, code, records.collect(), true), limit))
    }

    /// The answer that others gave.
    pub(super) fn pass_on(&self, (code, records): super::forward::Reply, limit: usize) -> Vec<u8> {
        encode(respond(&self.request, code, records, false), limit)
    }

    /// The longest answer whoever asked can take by UDP, in bytes.
    pub(super) fn udp_limit(&self) -> usize {
        let offered = self.request.edns.as_ref().map_or(512, |edns| usize::from(edns.max_payload()));
        offered.clamp(512, limits::DNS_UDP)
    }
}

fn address(ip: IpAddr) -> RData {
    match ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    }
}

fn respond(request: &Message, code: ResponseCode, answers: Vec<Record>, ours: bool) -> Message {
    let mut response = Message::response(request.metadata.id, request.metadata.op_code);
    response.metadata.recursion_desired = request.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    response.metadata.authoritative = ours;
    response.metadata.response_code = code;
    response.add_queries(request.queries.iter().cloned());
    let absent = answers.is_empty() && matches!(code, ResponseCode::NXDomain | ResponseCode::NoError);
    if ours && absent {
        response.add_authority(no_memory());
    }
    response.add_answers(answers);
    if request.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(limits::DNS_UDP as u16);
        response.set_edns(edns);
    }
    response
}

/// Says that an absence must not be remembered: a service that is asked for too early may be there a moment later.
fn no_memory() -> Record {
    let soa = SOA::new(Name::root(), Name::root(), 1, 0, 0, 0, 0);
    Record::from_rdata(Name::root(), 0, RData::SOA(soa))
}

/// The bytes; if there are too many, an answer that says to ask again by TCP.
fn encode(message: Message, limit: usize) -> Vec<u8> {
    match message.to_vec() {
        Ok(bytes) if bytes.len() <= limit => bytes,
        Ok(_) => message.truncate().to_vec().unwrap_or_default(),
        // A forwarded record that cannot be written again: a failure, not silence.
        Err(_) => {
            let mut failure = Message::response(message.metadata.id, message.metadata.op_code);
            failure.metadata.response_code = ResponseCode::ServFail;
            failure.add_queries(message.queries.iter().cloned());
            failure.to_vec().unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: RecordType) -> Message {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message
    }

    fn understood(name: &str, kind: RecordType) -> Question {
        read(&question(name, kind).to_vec().unwrap()).unwrap()
    }

    fn addresses(count: u8) -> Meaning {
        Meaning::Addresses((0..count).map(|last| IpAddr::from([10, 0, 0, last])).collect())
    }

    #[test]
    fn a_question_is_understood_in_any_case() {
        let question = understood("WeB.Shop.", RecordType::AAAA);
        assert_eq!((question.name.as_str(), question.kind), ("web.shop", Kind::V6));
        let reverse = understood("2.0.1.10.in-addr.arpa.", RecordType::PTR);
        assert_eq!(reverse.kind, Kind::Reverse("10.1.0.2".parse().unwrap()));
    }

    #[test]
    fn an_answer_keeps_the_question_and_is_not_remembered() {
        let answer = understood("Web.", RecordType::A).answer(addresses(3), 1, 512).unwrap();
        let answer = Message::from_vec(&answer).unwrap();
        assert_eq!((answer.metadata.id, answer.metadata.response_code), (7, ResponseCode::NoError));
        assert_eq!(answer.queries[0].name().to_string(), "Web.");
        let text: Vec<_> =
            answer.answers.iter().map(|record| format!("{} {}", record.ttl, record.data)).collect();
        assert_eq!(text, ["0 10.0.0.1", "0 10.0.0.2", "0 10.0.0.0"]);
    }

    #[test]
    fn absence_is_said_and_not_remembered() {
        for (meaning, code) in
            [(Meaning::Unknown, ResponseCode::NXDomain), (Meaning::Nothing, ResponseCode::NoError)]
        {
            let answer = understood("web.", RecordType::A).answer(meaning, 0, 512).unwrap();
            let answer = Message::from_vec(&answer).unwrap();
            assert_eq!((answer.metadata.response_code, answer.answers.len()), (code, 0));
            let RData::SOA(soa) = &answer.authorities[0].data else { panic!("{answer:?}") };
            assert_eq!((soa.minimum, answer.authorities[0].ttl), (0, 0));
        }
        assert!(understood("web.", RecordType::A).answer(Meaning::Foreign, 0, 512).is_none());
    }

    #[test]
    fn a_long_answer_is_cut_for_udp() {
        let question = understood("web.", RecordType::A);
        let whole = question.answer(addresses(200), 0, usize::MAX).unwrap();
        assert_eq!(Message::from_vec(&whole).unwrap().answers.len(), 200);
        let cut = question.answer(addresses(200), 0, question.udp_limit()).unwrap();
        assert!(cut.len() <= 512 && Message::from_vec(&cut).unwrap().metadata.truncation);
    }

    #[test]
    fn what_is_no_question_for_us_is_refused() {
        let code = |message: Message| {
            let answer = read(&message.to_vec().unwrap()).unwrap_err().unwrap();
            Message::from_vec(&answer).unwrap().metadata.response_code
        };
        assert_eq!(code(question("web.", RecordType::AXFR)), ResponseCode::Refused);
        let mut none = question("web.", RecordType::A);
        none.queries.clear();
        assert_eq!(code(none), ResponseCode::FormErr);
        let mut update = question("web.", RecordType::A);
        update.metadata.op_code = OpCode::Update;
        assert!(read(&update.to_vec().unwrap()).is_err());
    }

    #[test]
    fn garbage_and_answers_get_no_answer() {
        let mut answer = question("web.", RecordType::A);
        answer.metadata.message_type = MessageType::Response;
        let answer = answer.to_vec().unwrap();
        for bytes in [&[][..], &[0; 11], &[255; 64], &answer] {
            assert!(read(bytes).unwrap_err().is_none(), "{bytes:?}");
        }
    }
}
