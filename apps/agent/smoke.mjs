import net from 'node:net'; import { generateKeyPairSync } from 'node:crypto'; import fs from 'node:fs'
import { createPostgresEngine } from '@sallyport/protocol-postgres/engine'
import { postgresDescriptor } from '@sallyport/protocol-postgres/analyse'
import { SessionGuard, Spool, verifyGrant, Secret } from '@sallyport/kit'
import { CompactSign } from 'jose'
const url = new URL(process.argv[2]); const rules = JSON.parse(fs.readFileSync(process.argv[3]))
const engine = await createPostgresEngine(); const keys = generateKeyPairSync('ed25519')
fs.rmSync('/tmp/smoke/spool', { recursive: true, force: true }); const spool = new Spool({ directory: '/tmp/smoke/spool' })
let n = 0
net.createServer(async (socket) => { socket.on('error',()=>{})
  const first = await new Promise((r) => socket.once('data', r)); if (first.readUInt32BE(4) === 80877103) { socket.write('N'); await new Promise((r) => socket.once('data', r)) }
  socket.write(Buffer.from([0x52,0,0,0,8,0,0,0,0])); socket.write(Buffer.from([0x4b,0,0,0,12,0,0,0,1,0,0,0,2]))
  const now = Math.floor(Date.now()/1000), sid = `0197a1b2-0000-7000-8000-${String(++n).padStart(12,'0')}`
  const payload = { v:1, sid, version:1, agent:'a', iat:now, exp:now+6000, lease:now+6000, identity:{kind:'workload',id:'w',name:'shop-ci',groups:[],claims:{}}, target:{id:'t',name:'db',protocol:'postgres',labels:{},spec:{host:url.hostname,port:Number(url.port),database:url.pathname.slice(1),user:url.username,password:'env:X', tls:{mode:'disable'}}}, rules: rules.rules, masks: rules.masks, terms:{ttl_seconds:600,idle_seconds:600,audit:'spooled',record_result_bytes:8192}, approval_url:'http://x/' }
  const jws = await new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({alg:'EdDSA',typ:'grant+jwt',kid:'k'}).sign(keys.privateKey)
  const grant = await verifyGrant(jws, new Map([['k', keys.publicKey]]), 'a', now)
  const ac = new AbortController()
  const guard = new SessionGuard({ grant, actions: postgresDescriptor.actions, spool, approvals: { request() { throw new Error('no') } }, signal: ac.signal })
  let blocked
  const client = { write(b) { return socket.write(b) }, writable() { return new Promise((r) => socket.once('drain', r)) }, start(r) { socket.on('data', (d) => r.onData(d)); socket.on('close', () => r.onClose()); socket.resume() }, consumed() {}, end() { socket.end() }, close() { socket.end() } }
  const log = { debug(){}, info: console.log, warn: (...a) => console.log('WARN', ...a) }
  const end = await engine.serve({ grant, parameters: {}, client, guard, credentials: { resolve: async () => new Secret(decodeURIComponent(url.password)) }, signal: ac.signal, onSignal() {}, log })
  console.log('end', end)
}).listen(7777, '127.0.0.1', () => console.log('up'))
