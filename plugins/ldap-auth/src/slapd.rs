//! A private OpenLDAP server for one test, in a temporary folder and on ports of its own.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use tempfile::TempDir;

/// Users beside those with a name: more than fit into a page.
pub const CROWD: usize = 25;

/// Runs until it is dropped.
pub struct Slapd {
    process: Child,
    folder: TempDir,
    pub ldap: String,
    pub ldaps: String,
    /// The authority of its certificate, PEM.
    pub ca: String,
}

const CONFIG: &str = "
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile FOLDER/pid
TLSCACertificateFile FOLDER/ca.pem
TLSCertificateFile FOLDER/cert.pem
TLSCertificateKeyFile FOLDER/key.pem
database mdb
maxsize 16777216
suffix \"dc=example,dc=org\"
rootdn \"cn=root,dc=example,dc=org\"
rootpw root-secret
directory FOLDER
limits dn.exact=\"cn=search,dc=example,dc=org\" size=10 size.pr=10 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=\"cn=search,dc=example,dc=org\" read by * auth
";

impl Slapd {
    /// Starts one with users, groups, and an account that may search.
    pub fn start() -> Slapd {
        let folder = tempfile::tempdir().unwrap();
        let ca = certificates(folder.path());
        let config = CONFIG.replace("FOLDER", folder.path().to_str().unwrap());
        std::fs::write(folder.path().join("slapd.conf"), config).unwrap();
        std::fs::write(folder.path().join("data.ldif"), ldif()).unwrap();
        let file = |name: &str| folder.path().join(name);
        let add = Command::new("/usr/sbin/slapadd")
            .arg("-f")
            .arg(file("slapd.conf"))
            .arg("-l")
            .arg(file("data.ldif"))
            .output()
            .expect("slapd is needed: apt-get install slapd");
        assert!(add.status.success(), "{}", String::from_utf8_lossy(&add.stderr));
        let (plain, tls) = (free_port(), free_port());
        let ldap = format!("ldap://127.0.0.1:{plain}");
        let ldaps = format!("ldaps://127.0.0.1:{tls}");
        let process = Command::new("/usr/sbin/slapd")
            .args(["-d", "0", "-h", &format!("{ldap} {ldaps}"), "-f"])
            .arg(file("slapd.conf"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let slapd = Slapd { process, folder, ldap, ldaps, ca };
        slapd.wait(tls);
        slapd
    }

    /// Until it accepts connections.
    fn wait(&self, port: u16) {
        let end = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "slapd in {:?} does not listen", self.folder.path());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Stops it: its ports are closed afterwards.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody has at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An authority, and a certificate of 127.0.0.1. Gives the authority's.
fn certificates(folder: &Path) -> String {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    issuer.pem()
}

fn ldif() -> String {
    let mut ldif = "dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: cn=search,dc=example,dc=org
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: search
userPassword: search-secret

dn: cn=lovers,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: lovers
description: Star-crossed
member: uid=Juliet,ou=people,dc=example,dc=org
member: uid=romeo,ou=people,dc=example,dc=org
member: uid=gone,ou=people,dc=example,dc=org
member: cn=search,dc=example,dc=org

dn: cn=empty,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: empty
member: cn=search,dc=example,dc=org

"
    .to_owned();
    let mut person = |uid: &str, cn: &str| {
        ldif.push_str(&format!(
            "dn: uid={uid},ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: {uid}\n\
             cn: {cn}\nsn: {cn}\nmail: {uid}@example.org\nuserPassword: {uid}-secret\n\n"
        ));
    };
    person("Juliet", "Juliet Capulet");
    person("romeo", "Romeo Montague");
    for number in 0..CROWD {
        person(&format!("user{number:02}"), "One of many");
    }
    ldif
}
