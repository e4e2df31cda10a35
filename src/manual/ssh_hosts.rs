//! # Hosts reached by SSH
//!
//! Register keys that are ed25519, ecdsa on P-256 or P-384, or rsa of 2,048 to
//! 4,096 bits, whether of a CA or of a user: the server signs with no others.
//! An ecdsa key on P-521 is refused, and so is DSA; `ssh-keygen -t ed25519`
//! makes one to put beside it on the hosts. The keys that callers have
//! certified may be on P-521.
//!
//! ## With a CA
//!
//! A certificate does not name the hosts it is for: its principals do. Name
//! the host in them, and let each host list its own:
//!
//! ```text
//! valetkey connector register gpus --type ssh --method ca-key \
//!   --set 'hosts=*.gpu.example.com' \
//!   --set 'principals={"read":["view@{host}"],"write":["train@{host}"]}' \
//!   --secret ca_private_key=@ca
//! # on gpu1.gpu.example.com, in sshd_config:
//! TrustedUserCAKeys /etc/ssh/ca.pub
//! AuthorizedPrincipalsFile /etc/ssh/principals/%u
//! # and in /etc/ssh/principals/trainer:
//! train@gpu1.gpu.example.com
//! ```
//!
//! Without `{host}` every host that trusts the CA takes the certificate, and
//! the reply says `downscope: none`. So it does where a connector serves one
//! name on several ports, unless the principals name the port as well:
//! `train@{host}:{port}`, and `train@gpu1.gpu.example.com:2222` in the file of
//! the server that listens there. No host asks us about a certificate, so
//! that none can be revoked: let them live shortly. A `force_command` and
//! `source_address` of the settings are in every certificate as critical
//! options: a host that does not know them lets nobody in.
//!
//! ## With a private key
//!
//! Where hosts trust nothing but a key, `valetkey ssh-agent` lends it: `ssh`
//! asks the agent, the agent the daemon, and the daemon signs when the text is
//! a sign-in as the configured user, in a session with a host that proved one
//! of its pinned keys. This needs OpenSSH 8.9 or newer on the client, which
//! tells the agent whom it talks to, and no agent forwarding. Hosts that show
//! a host certificate, and host keys on P-521, cannot be pinned.
//!
//! Pin what ssh-keyscan prints once you have checked it by other means; a file
//! of it goes in whole:
//!
//! ```text
//! ssh-keyscan gpu1.example.com gpu2.example.com > pins
//! valetkey connector register hosts --type ssh --method private-key \
//!   --set hosts=gpu1.example.com,gpu2.example.com --set username=trainer \
//!   --set host_keys=@pins --secret base64_ssh_key=@key
//! ```
//!
//! A key with a passphrase is opened for each signature, which costs its
//! rounds of bcrypt each time. Sealed as it is, it needs none.
