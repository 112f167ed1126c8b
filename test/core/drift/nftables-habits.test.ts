import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import type { AssessedChange } from '../../../src/core/drift/family-drift.ts';
import { assessNftablesDrift } from '../../../src/core/drift/nftables-drift.ts';
import { parseNftRuleset } from '../../../src/core/nftables/index.ts';
import { kernelSkipReason } from '../../support/environment.ts';

/**
 * The fold of churn is where a hostile rule would hide: each of these carries a tool's name, or stands in its table.
 * The kernel makes the listings: a frame is loaded, then the commands of a case.
 */
const skip = kernelSkipReason(['nft', 'unshare']);

const FRAMES: Record<string, string> = {
  bans: `
    table inet f2b-table {
      set addr-set-sshd { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 } }
      set addr-set-web { type ipv4_addr; flags interval; elements = { 192.0.2.3 } }
      set addr-set-admins { type ipv4_addr; elements = { 192.0.2.50 } }
      chain f2b-chain {
        type filter hook input priority -1; policy accept;
        tcp dport 22 ip saddr @addr-set-sshd reject
        meta l4proto tcp ip saddr @addr-set-web drop
      }
      chain f2b-idle { }
    }
    table inet filter {
      set addr-set-office { type ipv4_addr; elements = { 198.51.100.1 } }
      set addr-set-allowed { type ipv4_addr; flags timeout; elements = { 198.51.100.2 timeout 1d } }
      set timed { type ipv4_addr; flags interval,timeout; elements = { 198.51.100.3 timeout 1d } }
      chain input {
        type filter hook input priority 0; policy drop;
        jump f2b-sshd
        ip saddr @timed drop
        ip saddr @addr-set-office tcp dport 22 accept
        tcp dport 8443 ip saddr != @addr-set-allowed drop
        tcp dport 8443 accept
      }
      chain f2b-sshd { ip saddr 192.0.2.9 reject; return; }
    }`,
  flushed: `
    table inet f2b-table {
      set addr-set-sshd { type ipv4_addr; elements = { ${Array.from({ length: 12 }, (_, i) => `192.0.2.${i + 1}`)} } }
      chain f2b-chain { type filter hook input priority -1; ip saddr @addr-set-sshd reject; }
    }
    table ip crowdsec {
      set crowdsec-blacklists { type ipv4_addr; flags timeout; elements = { ${Array.from({ length: 12 }, (_, i) => `192.0.2.${i + 1} timeout 4h`)} } }
      chain crowdsec-chain { type filter hook input priority -10; ip saddr @crowdsec-blacklists drop; }
    }`,
  spared: `
    table inet f2b-table {
      set addr-set-sshd { type ipv4_addr; elements = { 203.0.113.9 } }
      chain f2b-chain { type filter hook input priority -1; ip saddr @addr-set-sshd drop; ip saddr 203.0.113.9 accept; }
    }`,
  crowdsec: `
    table ip crowdsec {
      set crowdsec-blacklists { type ipv4_addr; flags timeout; elements = { 192.0.2.1 timeout 4h } }
      chain crowdsec-chain { type filter hook input priority -10; ip saddr @crowdsec-blacklists drop; }
    }
    table ip sshguard {
      set attackers { type ipv4_addr; flags interval; elements = { 192.0.2.1 } }
      chain blacklist { type filter hook input priority -10; ip saddr @attackers drop; }
    }`,
  docker: `
    table ip docker-bridges {
      map filter-forward-in-jumps { type ifname : verdict; elements = { "docker0" : jump filter-forward-in__docker0 } }
      map filter-forward-out-jumps { type ifname : verdict; elements = { "docker0" : jump filter-forward-out__docker0 } }
      map nat-postrouting-in-jumps { type ifname : verdict; elements = { "docker0" : jump nat-postrouting-in__docker0 } }
      map nat-postrouting-out-jumps { type ifname : verdict; elements = { "docker0" : jump nat-postrouting-out__docker0 } }
      chain filter-FORWARD {
        type filter hook forward priority 0; policy accept;
        oifname vmap @filter-forward-in-jumps
        iifname vmap @filter-forward-out-jumps
      }
      chain nat-OUTPUT { type nat hook output priority -100; ip daddr != 127.0.0.0/8 fib daddr type local counter jump nat-prerouting-and-output; }
      chain nat-POSTROUTING {
        type nat hook postrouting priority 100;
        iifname vmap @nat-postrouting-out-jumps
        oifname vmap @nat-postrouting-in-jumps
      }
      chain nat-PREROUTING { type nat hook prerouting priority -100; fib daddr type local counter jump nat-prerouting-and-output; }
      chain nat-prerouting-and-output { iifname != "docker0" tcp dport 8080 counter dnat to 172.17.0.2:80 comment "DNAT"; }
      chain raw-PREROUTING {
        type filter hook prerouting priority -300;
        ip daddr 172.17.0.2 iifname != "docker0" counter drop comment "DROP DIRECT ACCESS"
      }
      chain filter-forward-in__docker0 {
        ct state established,related counter accept
        iifname "docker0" counter accept comment "ICC"
        ip daddr 172.17.0.2 tcp dport 80 counter accept
        counter drop comment "UNPUBLISHED PORT DROP"
      }
      chain filter-forward-out__docker0 { ct state established,related counter accept; counter accept comment "OUTGOING"; }
      chain nat-postrouting-in__docker0 { }
      chain nat-postrouting-out__docker0 { oifname != "docker0" ip saddr 172.17.0.0/16 counter masquerade comment "MASQUERADE"; }
    }`,
  kube: `
    table ip kube-proxy {
      set cluster-ips { type ipv4_addr; elements = { 10.96.0.1, 10.96.0.9 } }
      set nodeport-ips { type ipv4_addr; elements = { 10.0.0.4 } }
      map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.96.0.9 . tcp . 80 : goto reject-chain } }
      map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }
      map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 203.0.113.80 . tcp . 443 : goto firewall-5VLAJWPA-default/web/tcp/http } }
      map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = {
        10.96.0.1 . tcp . 443 comment "default/web:http" : goto service-5VLAJWPA-default/web/tcp/http,
        203.0.113.80 . tcp . 443 comment "default/web:http" : goto external-5VLAJWPA-default/web/tcp/http } }
      map service-nodeports { type inet_proto . inet_service : verdict; elements = { tcp . 30003 : goto external-5VLAJWPA-default/web/tcp/http } }
      chain filter-input { type filter hook input priority -110; ct state new jump nodeport-endpoints-check; ct state new jump service-endpoints-check; }
      chain filter-forward { type filter hook forward priority -110; ct state new jump service-endpoints-check; ct state new jump cluster-ips-check; }
      chain filter-output { type filter hook output priority -90; ct state new jump service-endpoints-check; ct state new jump cluster-ips-check; }
      chain filter-prerouting { type filter hook prerouting priority -110; ct state new jump firewall-check; }
      chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
      chain nat-output { type nat hook output priority -100; jump services; }
      chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
      chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips; }
      chain firewall-5VLAJWPA-default/web/tcp/http { ip saddr != 198.51.100.0/24 drop; }
      chain cluster-ips-check { ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"; }
      chain services { ip daddr . meta l4proto . th dport vmap @service-ips; ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports; }
      chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }
      chain nodeport-endpoints-check { ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports; }
      chain mark-for-masquerade { meta mark set meta mark | 0x4000; }
      chain masquerading { meta mark & 0x4000 == 0 return; meta mark set meta mark ^ 0x4000; masquerade fully-random; }
      chain reject-chain { reject; }
      chain service-5VLAJWPA-default/web/tcp/http {
        ip daddr 10.96.0.1 tcp dport 443 ip saddr != 10.244.0.0/16 jump mark-for-masquerade
        numgen random mod 1 vmap { 0 : goto endpoint-GMQZJQUG-default/web/tcp/http__10.244.130.32/80 }
      }
      chain external-5VLAJWPA-default/web/tcp/http {
        ip saddr 10.244.0.0/16 goto service-5VLAJWPA-default/web/tcp/http comment "short-circuit pod traffic"
        fib saddr type local jump mark-for-masquerade
        fib saddr type local goto service-5VLAJWPA-default/web/tcp/http
        jump mark-for-masquerade
        goto service-5VLAJWPA-default/web/tcp/http
      }
      chain endpoint-GMQZJQUG-default/web/tcp/http__10.244.130.32/80 {
        ip saddr 10.244.130.32 jump mark-for-masquerade
        meta l4proto tcp dnat to 10.244.130.32:80
      }
    }`,
  mine: `
    table inet mine { chain input { type filter hook input priority 0; policy drop; tcp dport 22 accept; }
    }
    table ip filter {
      chain INPUT { type filter hook input priority 0; policy drop; tcp dport 22 counter accept; }
      chain FORWARD { type filter hook forward priority 0; policy drop; oifname "docker0" counter jump DOCKER; }
      chain DOCKER { ip daddr 172.17.0.2 iifname != "docker0" oifname "docker0" tcp dport 80 counter accept; iifname != "docker0" oifname "docker0" counter drop; }
    }
    table ip nat {
      chain PREROUTING { type nat hook prerouting priority -100; fib daddr type local counter jump DOCKER; }
      chain DOCKER { iifname != "docker0" tcp dport 80 counter dnat to 172.17.0.2:80; }
    }
    table inet firewalld { chain filter_INPUT { type filter hook input priority 10; jump filter_INPUT_ZONES; }
      chain filter_INPUT_ZONES { goto filter_IN_public; }
      chain filter_IN_public { tcp dport 22 accept; reject; }
    }
    table inet netavark { chain INPUT { type filter hook input priority 0; }
      chain FORWARD { type filter hook forward priority 0; ct state invalid drop; }
    }
    table ip libvirt_network { chain forward { type filter hook forward priority 0; oif "lo" jump guest_input; }
      chain guest_input { drop; }
    }`,
};

const listings = new Map<string, readonly [string, string]>();

/** The kernel's listing before and after the commands. */
function listing(frame: string, commands: string): readonly [string, string] {
  const key = `${frame}\n${commands}`;
  const known = listings.get(key);
  if (known !== undefined) return known;
  const script =
    'printf %s "$FRAME" | nft -f - && nft -j list ruleset && echo && printf %s "$COMMANDS" | nft -f - && nft -j list ruleset';
  const run = spawnSync('unshare', ['--net', 'sh', '-c', `PATH="$PATH:/usr/sbin:/sbin"; ${script}`], {
    encoding: 'utf8',
    env: { ...process.env, FRAME: FRAMES[frame], COMMANDS: commands },
  });
  assert.equal(run.status, 0, run.stderr);
  const [before = '', after = ''] = run.stdout.split('\n').filter((line) => line !== '');
  listings.set(key, [before, after]);
  return [before, after];
}

function changes(frame: string, commands: string): AssessedChange[] {
  const [before, after] = listing(frame, commands).map((text) => parseNftRuleset(text).ruleset);
  return assessNftablesDrift(before as never, after as never);
}

const F2B = 'inet f2b-table';
const KUBE = 'ip kube-proxy';
const DOCKER = 'ip docker-bridges';
const WEB = '5VLAJWPA-default/web/tcp/http';

/** What was done, where, and how loud it must be at least. */
const HOSTILE: readonly (readonly [string, string, string, ('critical' | 'high' | 'medium' | 'low')?])[] = [
  // Bans.
  ['all accepted above the bans', 'bans', `insert rule ${F2B} f2b-chain accept`, 'critical'],
  ['one address accepted above the bans', 'bans', `insert rule ${F2B} f2b-chain ip saddr 203.0.113.9 accept`],
  ['one port closed for all', 'bans', `insert rule ${F2B} f2b-chain tcp dport 22 drop`, 'critical'],
  ['everything dropped', 'bans', `add rule ${F2B} f2b-chain drop`, 'critical'],
  ['a return above the bans', 'bans', `insert rule ${F2B} f2b-chain ip saddr 203.0.113.0/24 return`, 'high'],
  ['a goto into an empty chain above the bans', 'bans', `insert rule ${F2B} f2b-chain goto f2b-idle`, 'critical'],
  [
    'a goto into an empty ban chain of a table of one’s own',
    'bans',
    'add chain inet filter f2b-x; insert rule inet filter input goto f2b-x',
    'critical',
  ],
  [
    'senders that are not banned dropped',
    'bans',
    `add rule ${F2B} f2b-chain ip saddr != @addr-set-sshd drop`,
    'critical',
  ],
  ['a ban of destinations', 'bans', `add rule ${F2B} f2b-chain ip daddr @addr-set-sshd drop`, 'critical'],
  ['the rule of a jail gone', 'bans', `flush chain ${F2B} f2b-chain`, 'high'],
  ['the table of bans gone', 'bans', `delete table ${F2B}`, 'high'],
  ['the table of bans dormant', 'bans', `add table ${F2B} { flags dormant; }`, 'critical'],
  ['a policy', 'bans', `add chain ${F2B} f2b-chain { policy drop; }`, 'critical'],
  [
    'a base chain that drops',
    'bans',
    `add chain ${F2B} f2b-new { type filter hook output priority -200; policy drop; }`,
    'critical',
  ],
  [
    'a base chain on the way out',
    'bans',
    `add chain ${F2B} f2b-out { type filter hook output priority -200; }; add rule ${F2B} f2b-out ip saddr @addr-set-sshd drop`,
  ],
  [
    'an own table at an earlier priority that accepts',
    'bans',
    'add table inet crowdsec; add chain inet crowdsec crowdsec-chain { type filter hook input priority -500; }; add rule inet crowdsec crowdsec-chain accept',
  ],
  [
    'a table of a ban tool’s name that drops a port',
    'bans',
    'add table ip sshguard; add chain ip sshguard blacklist { type filter hook input priority -10; }; add rule ip sshguard blacklist tcp dport 22 drop',
    'critical',
  ],
  [
    'a table of a ban tool’s name with a /8',
    'bans',
    'add table ip sshguard; add set ip sshguard attackers { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }; add chain ip sshguard blacklist { type filter hook input priority -10; }; add rule ip sshguard blacklist ip saddr @attackers drop',
    'critical',
  ],
  ['a ban of a /8', 'bans', `add element ${F2B} addr-set-web { 10.0.0.0/8 }`, 'critical'],
  ['a ban of a range', 'bans', `add element ${F2B} addr-set-web { 10.0.0.0-10.1.0.0 }`, 'critical'],
  ['a ban of the WireServer', 'bans', `add element ${F2B} addr-set-sshd { 168.63.129.16 }`, 'critical'],
  ['a ban of the network of the WireServer', 'bans', `add element ${F2B} addr-set-web { 168.63.129.0/24 }`, 'critical'],
  ['a ban of the metadata service', 'bans', `add element ${F2B} addr-set-sshd { 169.254.169.254 }`, 'critical'],
  [
    'an address added to an allow list of a ban set’s name',
    'bans',
    'add element inet filter addr-set-office { 203.0.113.9 }',
    'critical',
  ],
  [
    'an address spared by a negated drop, for a while',
    'bans',
    'add element inet filter addr-set-allowed { 203.0.113.9 timeout 1h }',
    'critical',
  ],
  ['a /8 dropped for a while', 'bans', 'add element inet filter timed { 10.0.0.0/8 timeout 1h }', 'critical'],
  [
    'the WireServer dropped for a while',
    'bans',
    'add element inet filter timed { 168.63.129.16 timeout 1h }',
    'critical',
  ],
  ['all bans flushed', 'flushed', `flush set ${F2B} addr-set-sshd`, 'critical'],
  ['a set used by accept in the ban table', 'bans', `insert rule ${F2B} f2b-chain ip saddr @addr-set-admins accept`],
  [
    'a return at the top of a ban chain',
    'bans',
    'insert rule inet filter f2b-sshd ip saddr 192.0.2.0/24 return',
    'high',
  ],
  ['a blanket return at the top of a ban chain', 'bans', 'insert rule inet filter f2b-sshd return', 'critical'],
  ['an accept in a ban chain', 'bans', 'insert rule inet filter f2b-sshd tcp dport 3389 accept', 'high'],
  [
    'a ban of a large network in a ban chain',
    'bans',
    'insert rule inet filter f2b-sshd ip saddr 10.0.0.0/8 drop',
    'medium',
  ],
  [
    'a redirect in a ban table',
    'bans',
    `add chain ${F2B} f2b-nat { type nat hook prerouting priority -100; }; add rule ${F2B} f2b-nat tcp dport 22 redirect to :2222`,
    'high',
  ],
  [
    'no tracking in a ban table',
    'bans',
    `add chain ${F2B} f2b-raw { type filter hook prerouting priority -300; }; add rule ${F2B} f2b-raw notrack`,
    'critical',
  ],
  [
    'an ingress chain of a ban name',
    'bans',
    'add table netdev f2b-table; add chain netdev f2b-table f2b-chain { type filter hook ingress device lo priority 0; policy drop; }',
    'critical',
  ],
  [
    'a ban that also sends away',
    'bans',
    `add chain ${F2B} f2b-y; add rule ${F2B} f2b-y ip daddr 10.0.0.4 meta mark set 1 ip saddr @addr-set-sshd drop`,
    'low',
  ],
  [
    'the set of a jail in a rule for other ports',
    'bans',
    `flush chain ${F2B} f2b-chain; add rule ${F2B} f2b-chain tcp dport 9 ip saddr @addr-set-sshd reject`,
    'high',
  ],
  [
    'a /8 in the block list of crowdsec',
    'crowdsec',
    'delete table ip crowdsec; add table ip crowdsec; add set ip crowdsec crowdsec-blacklists { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }',
    'high',
  ],
  [
    'the attackers of a person’s table',
    'mine',
    'add set inet mine attackers { type ipv4_addr; }; add rule inet mine input ip saddr @attackers accept',
    'medium',
  ],
  // Docker’s own tables.
  [
    'a host port sent abroad',
    'docker',
    `add rule ${DOCKER} nat-prerouting-and-output tcp dport 443 counter dnat to 203.0.113.9:443`,
    'high',
  ],
  [
    'SSH of the host sent to a container',
    'docker',
    `add rule ${DOCKER} nat-prerouting-and-output iifname != "docker0" tcp dport 22 counter dnat to 172.17.0.9:22`,
    'high',
  ],
  [
    'the WireServer sent to a container',
    'docker',
    `add rule ${DOCKER} nat-prerouting-and-output ip daddr 168.63.129.16 tcp dport 80 counter dnat to 172.17.0.9:80`,
    'high',
  ],
  [
    'the metadata service sent to a container',
    'docker',
    `add rule ${DOCKER} nat-prerouting-and-output ip daddr 169.254.169.254 tcp dport 80 counter dnat to 172.17.0.9:80`,
    'high',
  ],
  [
    'a port sent to the metadata service',
    'docker',
    `add rule ${DOCKER} nat-prerouting-and-output tcp dport 80 counter dnat to 169.254.169.254:80`,
    'high',
  ],
  ['all containers opened', 'docker', `insert rule ${DOCKER} filter-forward-in__docker0 accept`, 'critical'],
  [
    'all ports of containers opened',
    'docker',
    `insert rule ${DOCKER} filter-forward-in__docker0 ip daddr 172.17.0.0/16 accept`,
  ],
  ['all containers cut off', 'docker', `insert rule ${DOCKER} filter-forward-in__docker0 drop`, 'critical'],
  [
    'the guard of unpublished ports gone',
    'docker',
    `flush chain ${DOCKER} filter-forward-in__docker0; add rule ${DOCKER} filter-forward-in__docker0 ct state established,related counter accept`,
    'medium',
  ],
  ['the way to the guard gone', 'docker', `delete element ${DOCKER} filter-forward-in-jumps { "docker0" }`],
  [
    'the way to the guard retargeted',
    'docker',
    `add chain ${DOCKER} filter-forward-in__docker1; delete element ${DOCKER} filter-forward-in-jumps { "docker0" }; add element ${DOCKER} filter-forward-in-jumps { "docker0" : jump filter-forward-in__docker1 }`,
  ],
  [
    'a bridge that accepts at once',
    'docker',
    `delete element ${DOCKER} filter-forward-in-jumps { "docker0" }; add element ${DOCKER} filter-forward-in-jumps { "docker0" : accept }`,
    'critical',
  ],
  [
    'eth0 as a bridge',
    'docker',
    `add chain ${DOCKER} filter-forward-in__eth0; add rule ${DOCKER} filter-forward-in__eth0 drop; add element ${DOCKER} filter-forward-in-jumps { "eth0" : jump filter-forward-in__eth0 }`,
    'high',
  ],
  ['the guard of direct access gone', 'docker', `flush chain ${DOCKER} raw-PREROUTING`, 'high'],
  [
    'direct drop of a host’s own address',
    'docker',
    `add rule ${DOCKER} raw-PREROUTING ip daddr 168.63.129.16 iifname != "docker0" drop`,
    'high',
  ],
  ['no tracking', 'docker', `add rule ${DOCKER} raw-PREROUTING notrack`, 'critical'],
  [
    'one’s own base chain',
    'docker',
    `add chain ${DOCKER} filter-forward-in__docker7 { type filter hook input priority -300; policy accept; }; add rule ${DOCKER} filter-forward-in__docker7 ct state established,related accept`,
  ],
  [
    'a chain of Docker’s name in a table of one’s own',
    'mine',
    'add chain inet mine filter-forward-in__docker0; add rule inet mine filter-forward-in__docker0 accept; insert rule inet mine input jump filter-forward-in__docker0',
    'critical',
  ],
  ['Docker’s table gone', 'docker', `delete table ${DOCKER}`, 'high'],
  ['Docker’s table dormant', 'docker', `add table ${DOCKER} { flags dormant; }`, 'critical'],
  // Docker by iptables-nft.
  [
    'a port of the host in DOCKER',
    'mine',
    'insert rule ip filter DOCKER tcp dport 22 counter accept; insert rule ip filter INPUT counter jump DOCKER',
    'high',
  ],
  ['all containers in DOCKER', 'mine', 'insert rule ip filter DOCKER oifname "docker0" counter accept', 'high'],
  [
    'the guard in DOCKER gone',
    'mine',
    'flush chain ip filter DOCKER; add rule ip filter DOCKER ip daddr 172.17.0.2 iifname != "docker0" oifname "docker0" tcp dport 80 counter accept',
    'medium',
  ],
  [
    'a port sent abroad in DOCKER',
    'mine',
    'insert rule ip nat DOCKER iifname != "docker0" tcp dport 443 counter dnat to 203.0.113.9:443',
    'high',
  ],
  [
    'SSH in DOCKER',
    'mine',
    'insert rule ip nat DOCKER iifname != "docker0" tcp dport 22 counter dnat to 172.17.0.9:22',
    'high',
  ],
  [
    'a service chain in a table of one’s own',
    'mine',
    'add chain inet mine service-AAAAAAAA-x; add rule inet mine service-AAAAAAAA-x accept; insert rule inet mine input jump service-AAAAAAAA-x',
    'critical',
  ],
  // kube-proxy.
  ['an accept in a service', 'kube', `insert rule ${KUBE} service-${WEB} accept`],
  [
    'an endpoint abroad',
    'kube',
    `add chain ${KUBE} endpoint-AAAAAAAA-default/web/tcp/http__203.0.113.9/80; add rule ${KUBE} endpoint-AAAAAAAA-default/web/tcp/http__203.0.113.9/80 meta l4proto tcp dnat to 203.0.113.9:80`,
    'low',
  ],
  [
    'an endpoint that is not where its name says',
    'kube',
    `flush chain ${KUBE} endpoint-GMQZJQUG-default/web/tcp/http__10.244.130.32/80; add rule ${KUBE} endpoint-GMQZJQUG-default/web/tcp/http__10.244.130.32/80 meta l4proto tcp dnat to 10.244.66.6:80`,
    'high',
  ],
  [
    'an endpoint that leads nowhere',
    'kube',
    `flush chain ${KUBE} endpoint-GMQZJQUG-default/web/tcp/http__10.244.130.32/80`,
    'high',
  ],
  [
    'a service with an endpoint of another',
    'kube',
    `add chain ${KUBE} endpoint-AAAAAAAA-x/evil/tcp/http__10.244.6.6/80; add rule ${KUBE} endpoint-AAAAAAAA-x/evil/tcp/http__10.244.6.6/80 meta l4proto tcp dnat to 10.244.6.6:80; flush chain ${KUBE} service-${WEB}; add rule ${KUBE} service-${WEB} numgen random mod 1 vmap { 0 : goto endpoint-AAAAAAAA-x/evil/tcp/http__10.244.6.6/80 }`,
  ],
  ['a service that accepts', 'kube', `add element ${KUBE} service-ips { 203.0.113.9 . tcp . 80 : accept }`, 'critical'],
  [
    'a service retargeted',
    'kube',
    `add chain ${KUBE} service-AAAAAAAA-x/evil/tcp/http; delete element ${KUBE} service-ips { 10.96.0.1 . tcp . 443 }; add element ${KUBE} service-ips { 10.96.0.1 . tcp . 443 : goto service-AAAAAAAA-x/evil/tcp/http }`,
    'high',
  ],
  [
    'the WireServer as a service',
    'kube',
    `add element ${KUBE} service-ips { 168.63.129.16 . tcp . 80 : goto service-${WEB} }`,
    'high',
  ],
  [
    'the metadata service as a service',
    'kube',
    `add element ${KUBE} service-ips { 169.254.169.254 . tcp . 80 : goto service-${WEB} }`,
    'high',
  ],
  [
    'SSH of the host as a service',
    'kube',
    `add element ${KUBE} service-ips { 10.0.0.4 . tcp . 22 : goto service-${WEB} }`,
    'high',
  ],
  ['SSH as a node port', 'kube', `add element ${KUBE} service-nodeports { tcp . 22 : goto external-${WEB} }`, 'high'],
  [
    'SSH as a node port without endpoints',
    'kube',
    `add element ${KUBE} no-endpoint-nodeports { tcp . 22 : drop }`,
    'critical',
  ],
  [
    'SSH as a service without endpoints',
    'kube',
    `add element ${KUBE} no-endpoint-services { 10.0.0.4 . tcp . 22 : goto reject-chain }`,
    'critical',
  ],
  [
    'the WireServer as a service without endpoints',
    'kube',
    `add element ${KUBE} no-endpoint-services { 168.63.129.16 . tcp . 80 : drop }`,
    'critical',
  ],
  [
    'a foreign log server as a service without endpoints',
    'kube',
    `add element ${KUBE} no-endpoint-services { 203.0.113.5 . tcp . 514 : drop }`,
    'critical',
  ],
  [
    'a verdict in the comment of an element',
    'kube',
    `add element ${KUBE} no-endpoint-services { 10.96.0.9 . tcp . 81 comment "a : drop : " : accept }`,
    'critical',
  ],
  ['the host as a cluster address', 'kube', `add element ${KUBE} cluster-ips { 10.0.0.4 }`, 'critical'],
  ['the WireServer as a cluster address', 'kube', `add element ${KUBE} cluster-ips { 168.63.129.16 }`, 'critical'],
  ['a cluster address without a service', 'kube', `add element ${KUBE} cluster-ips { 10.0.0.53 }`, 'critical'],
  ['another address takes node ports', 'kube', `add element ${KUBE} nodeport-ips { 203.0.113.4 }`],
  ['a load balancer opened to all', 'kube', `delete element ${KUBE} firewall-ips { 203.0.113.80 . tcp . 443 }`],
  ['a load balancer’s source opened', 'kube', `flush chain ${KUBE} firewall-${WEB}`],
  ['the masquerading chain changed', 'kube', `insert rule ${KUBE} masquerading return`, 'critical'],
  ['the services skipped', 'kube', `insert rule ${KUBE} services return`, 'critical'],
  ['the table of kube-proxy gone', 'kube', `delete table ${KUBE}`, 'high'],
  [
    'SSH of an address taken by a container',
    'docker',
    `add rule ${DOCKER} nat-prerouting-and-output ip daddr 10.0.0.4 tcp dport 22 counter dnat to 172.17.0.9:22`,
    'high',
  ],
  [
    'containers of one bridge let at each other',
    'docker',
    `insert rule ${DOCKER} filter-forward-in__docker0 iifname "docker0" accept`,
  ],
  [
    'containers of one bridge kept from each other',
    'docker',
    `flush chain ${DOCKER} filter-forward-in__docker0; add rule ${DOCKER} filter-forward-in__docker0 ct state established,related counter accept; add rule ${DOCKER} filter-forward-in__docker0 iifname "docker0" counter drop; add rule ${DOCKER} filter-forward-in__docker0 ip daddr 172.17.0.2 tcp dport 80 counter accept; add rule ${DOCKER} filter-forward-in__docker0 counter drop`,
    'high',
  ],
  [
    'a resolver of the network as a cluster address',
    'kube',
    `add element ${KUBE} cluster-ips { 10.0.0.53 }; add element ${KUBE} service-ips { 10.0.0.53 . udp . 53 : goto service-${WEB} }`,
    'critical',
  ],
  [
    'SSH of another address of the host as a service',
    'kube',
    `add element ${KUBE} service-ips { 10.0.0.5 . tcp . 22 : goto external-${WEB} }`,
    'high',
  ],
  ['a limit in a ban table', 'bans', `add limit ${F2B} l { rate 1/second; }`, 'low'],
  [
    'an accept above a moved ban',
    'spared',
    `flush chain ${F2B} f2b-chain; add rule ${F2B} f2b-chain ip saddr 203.0.113.9 accept; add rule ${F2B} f2b-chain ip saddr @addr-set-sshd drop`,
  ],
  ['a timed ban list flushed', 'flushed', 'flush set ip crowdsec crowdsec-blacklists', 'critical'],
  [
    'a set of bans made an allow list',
    'bans',
    `flush chain ${F2B} f2b-chain; delete set ${F2B} addr-set-sshd; add set ${F2B} addr-set-sshd { type ipv4_addr; }; add rule ${F2B} f2b-chain ip saddr != @addr-set-sshd drop`,
    'critical',
  ],
  [
    'a ban set with other flags',
    'bans',
    `flush chain ${F2B} f2b-chain; delete set ${F2B} addr-set-sshd; add set ${F2B} addr-set-sshd { type ipv4_addr; flags timeout; timeout 1m; elements = { 192.0.2.1, 192.0.2.2 }; }; add rule ${F2B} f2b-chain tcp dport 22 ip saddr @addr-set-sshd reject; add rule ${F2B} f2b-chain meta l4proto tcp ip saddr @addr-set-web drop`,
  ],
  [
    'the hook of the bans',
    'bans',
    `delete chain ${F2B} f2b-chain; add chain ${F2B} f2b-chain { type filter hook forward priority -1; }; add rule ${F2B} f2b-chain tcp dport 22 ip saddr @addr-set-sshd reject; add rule ${F2B} f2b-chain meta l4proto tcp ip saddr @addr-set-web drop`,
    'critical',
  ],
  [
    'the priority of the bans',
    'bans',
    `delete chain ${F2B} f2b-chain; add chain ${F2B} f2b-chain { type filter hook input priority 300; }; add rule ${F2B} f2b-chain tcp dport 22 ip saddr @addr-set-sshd reject; add rule ${F2B} f2b-chain meta l4proto tcp ip saddr @addr-set-web drop`,
    'critical',
  ],
  // Structural owners.
  ['all accepted in a zone of firewalld', 'mine', 'insert rule inet firewalld filter_IN_public accept', 'critical'],
  [
    'a goto past a zone of firewalld',
    'mine',
    'add chain inet firewalld filter_IN_x; insert rule inet firewalld filter_IN_public goto filter_IN_x',
    'critical',
  ],
  [
    'a hook in netavark',
    'mine',
    'add chain inet netavark NETAVARK-X { type filter hook output priority -300; policy drop; }',
    'critical',
  ],
  ['the guard of libvirt’s guests gone', 'mine', 'flush chain ip libvirt_network guest_input', 'high'],
];

const LOUDNESS = ['noise', 'low', 'medium', 'high', 'critical'];

for (const [name, frame, commands, atLeast = 'low'] of HOSTILE) {
  test(`not folded: ${name}`, { skip }, () => {
    const found = changes(frame, commands);
    const listed = found.filter(({ ephemeral }) => !ephemeral);
    const worst = Math.max(0, ...listed.map(({ severity }) => LOUDNESS.indexOf(severity)));
    assert.ok(worst >= LOUDNESS.indexOf(atLeast), JSON.stringify(found, null, 1));
  });
}

const POD = 'endpoint-BIZRTXDX-default/web/tcp/http__10.244.253.196/80';
const API = 'LEPPMOQ2-default/api/tcp/http';
const NEW_BRIDGE = ['filter-forward-in', 'filter-forward-out', 'nat-postrouting-in', 'nat-postrouting-out']
  .map(
    (kind) =>
      `add chain ${DOCKER} ${kind}__br-0123456789ab; add element ${DOCKER} ${kind}-jumps { "br-0123456789ab" : jump ${kind}__br-0123456789ab };`,
  )
  .join(' ');
const DROP_DOCKER0 = ['filter-forward-in', 'filter-forward-out', 'nat-postrouting-in', 'nat-postrouting-out']
  .map(
    (kind) =>
      `delete element ${DOCKER} ${kind}-jumps { "docker0" }; flush chain ${DOCKER} ${kind}__docker0; delete chain ${DOCKER} ${kind}__docker0;`,
  )
  .join(' ');

const CHURN: readonly (readonly [string, string, string])[] = [
  ['a ban', 'bans', `add element ${F2B} addr-set-sshd { 203.0.113.9 }`],
  ['an unban', 'bans', `delete element ${F2B} addr-set-sshd { 192.0.2.1 }`],
  ['the last unban', 'bans', `flush set ${F2B} addr-set-sshd`],
  ['a ban of a small network', 'bans', `add element ${F2B} addr-set-web { 203.0.113.0/24 }`],
  [
    'a jail',
    'bans',
    `add set ${F2B} addr-set-postfix { type ipv4_addr; }; add rule ${F2B} f2b-chain tcp dport { 25, 465 } ip saddr @addr-set-postfix reject with icmp port-unreachable; add element ${F2B} addr-set-postfix { 203.0.113.9 }`,
  ],
  ['a ban in a chain', 'bans', 'insert rule inet filter f2b-sshd ip saddr 203.0.113.9 counter reject'],
  [
    'an unban in a chain',
    'bans',
    'flush chain inet filter f2b-sshd; add rule inet filter f2b-sshd ip saddr 203.0.113.9 reject; add rule inet filter f2b-sshd return',
  ],
  [
    'the first ban',
    'mine',
    `add table ${F2B}; add chain ${F2B} f2b-chain { type filter hook input priority -1; }; add set ${F2B} addr-set-sshd { type ipv4_addr; }; add rule ${F2B} f2b-chain tcp dport { 22 } ip saddr @addr-set-sshd reject; add element ${F2B} addr-set-sshd { 203.0.113.9 }`,
  ],
  [
    'the start of sshguard',
    'mine',
    'add table ip sshguard; add chain ip sshguard blacklist { type filter hook input priority -10; }; add set ip sshguard attackers { type ipv4_addr; flags interval; }; add rule ip sshguard blacklist ip saddr @attackers drop; add element ip sshguard attackers { 203.0.113.9/32 }',
  ],
  ['a ban for a while', 'bans', 'add element inet filter timed { 203.0.113.9 timeout 1h }'],
  [
    'bans of crowdsec',
    'crowdsec',
    'add element ip crowdsec crowdsec-blacklists { 203.0.113.9 timeout 4h, 203.0.113.10 timeout 1h }',
  ],
  [
    'a ban of crowdsec prolonged',
    'crowdsec',
    'delete element ip crowdsec crowdsec-blacklists { 192.0.2.1 }; add element ip crowdsec crowdsec-blacklists { 192.0.2.1 timeout 8h }',
  ],
  ['a ban of sshguard', 'crowdsec', 'add element ip sshguard attackers { 203.0.113.9/32 }'],
  [
    'a published port',
    'docker',
    `add rule ${DOCKER} nat-prerouting-and-output iifname != "docker0" tcp dport 8081 counter dnat to 172.17.0.3:80 comment "DNAT"; add rule ${DOCKER} raw-PREROUTING ip daddr 172.17.0.3 iifname != "docker0" counter drop comment "DROP DIRECT ACCESS"; insert rule ${DOCKER} filter-forward-in__docker0 ip daddr 172.17.0.3 tcp dport 80 counter accept`,
  ],
  [
    'a container gone',
    'docker',
    `flush chain ${DOCKER} nat-prerouting-and-output; flush chain ${DOCKER} raw-PREROUTING; flush chain ${DOCKER} filter-forward-in__docker0; add rule ${DOCKER} filter-forward-in__docker0 ct state established,related counter accept; add rule ${DOCKER} filter-forward-in__docker0 iifname "docker0" counter accept comment "ICC"; add rule ${DOCKER} filter-forward-in__docker0 counter drop comment "UNPUBLISHED PORT DROP"`,
  ],
  [
    'a network',
    'docker',
    `${NEW_BRIDGE} add rule ${DOCKER} filter-forward-in__br-0123456789ab ct state established,related counter accept; add rule ${DOCKER} filter-forward-in__br-0123456789ab iifname "br-0123456789ab" counter accept comment "ICC"; add rule ${DOCKER} filter-forward-in__br-0123456789ab counter drop; add rule ${DOCKER} filter-forward-out__br-0123456789ab ct state established,related counter accept; add rule ${DOCKER} filter-forward-out__br-0123456789ab counter accept comment "OUTGOING"; add rule ${DOCKER} nat-postrouting-out__br-0123456789ab oifname != "br-0123456789ab" ip saddr 172.18.0.0/16 counter masquerade`,
  ],
  [
    'the last network',
    'docker',
    `flush chain ${DOCKER} nat-prerouting-and-output; flush chain ${DOCKER} raw-PREROUTING; ${DROP_DOCKER0}`,
  ],
  [
    'a container in DOCKER',
    'mine',
    'insert rule ip filter DOCKER iifname != "docker0" oifname "docker0" ip daddr 172.17.0.3 tcp dport 22 counter accept; add rule ip nat DOCKER iifname != "docker0" tcp dport 2222 counter dnat to 172.17.0.3:22',
  ],
  [
    'an endpoint',
    'kube',
    `add chain ${KUBE} ${POD}; add rule ${KUBE} ${POD} ip saddr 10.244.253.196 jump mark-for-masquerade; add rule ${KUBE} ${POD} meta l4proto tcp dnat to 10.244.253.196:80; flush chain ${KUBE} service-${WEB}; add rule ${KUBE} service-${WEB} ip daddr 10.96.0.1 tcp dport 443 ip saddr != 10.244.0.0/16 jump mark-for-masquerade; add rule ${KUBE} service-${WEB} numgen random mod 2 vmap { 0 : goto endpoint-GMQZJQUG-default/web/tcp/http__10.244.130.32/80, 1 : goto ${POD} }`,
  ],
  [
    'a service and its node port',
    'kube',
    `add chain ${KUBE} service-${API}; add chain ${KUBE} external-${API}; add chain ${KUBE} endpoint-QQQQQQQQ-default/api/tcp/http__10.244.1.7/80; add rule ${KUBE} endpoint-QQQQQQQQ-default/api/tcp/http__10.244.1.7/80 meta l4proto tcp dnat to 10.244.1.7:80; add rule ${KUBE} service-${API} numgen random mod 1 vmap { 0 : goto endpoint-QQQQQQQQ-default/api/tcp/http__10.244.1.7/80 }; add rule ${KUBE} external-${API} jump mark-for-masquerade; add rule ${KUBE} external-${API} goto service-${API}; add element ${KUBE} cluster-ips { 10.96.0.33 }; add element ${KUBE} service-ips { 10.96.0.33 . tcp . 80 comment "default/api:http" : goto service-${API} }; add element ${KUBE} service-nodeports { tcp . 31000 : goto external-${API} }`,
  ],
  [
    'a service without endpoints',
    'kube',
    `delete element ${KUBE} service-ips { 203.0.113.80 . tcp . 443 }; add element ${KUBE} no-endpoint-services { 203.0.113.80 . tcp . 443 : drop }; add element ${KUBE} cluster-ips { 10.96.0.44 }; add element ${KUBE} no-endpoint-services { 10.96.0.44 . tcp . 80 comment "default/idle:http" : goto reject-chain }`,
  ],
  [
    'an affinity',
    'kube',
    `add set ${KUBE} affinity-GMQZJQUG-default/web/tcp/http__10.244.130.32/80 { type ipv4_addr; flags dynamic,timeout; timeout 3h; }; insert rule ${KUBE} service-${WEB} ip saddr @affinity-GMQZJQUG-default/web/tcp/http__10.244.130.32/80 goto endpoint-GMQZJQUG-default/web/tcp/http__10.244.130.32/80; add rule ${KUBE} endpoint-GMQZJQUG-default/web/tcp/http__10.244.130.32/80 update @affinity-GMQZJQUG-default/web/tcp/http__10.244.130.32/80 { ip saddr }`,
  ],
];

for (const [name, frame, commands] of CHURN) {
  test(`folded: ${name}`, { skip }, () => {
    const found = changes(frame, commands);
    assert.ok(found.length > 0);
    const listed = found.filter(({ ephemeral }) => !ephemeral);
    assert.deepEqual(
      listed.map(({ severity, subject, reason }) => [severity, subject, reason]),
      [],
    );
  });
}
