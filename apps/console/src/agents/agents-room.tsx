import { Badge, Code, Text } from '@mantine/core'
import { ok } from '@sallyport/api-client'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { api, type Node, type WhoAmI } from '../api.js'
import { useNow } from '../approvals/use-now.js'
import { fullTime, relative } from '../format.js'
import { LockState, useLocks } from '../locks/lock.js'
import { Listing } from '../shell/listing.js'
import { Empty } from '../shell/message.js'
import { Labels } from '../targets/targets-room.js'

const stateOf = ({ revoked_at: revoked, connected }: Node): readonly [string, string] => (revoked !== null ? ['revoked', 'gray'] : connected ? ['connected', 'green'] : ['away', 'red'])

/** Agents and gateways, and whether they are there. */
export function AgentsRoom({ me }: { readonly me: WhoAmI }): ReactNode {
  const found = useQuery({ queryKey: ['agents'], queryFn: () => ok(api.GET('/v1/agents', { params: { query: { limit: 500 } } })), refetchInterval: 5_000 })
  const locks = useLocks(me)
  const now = useNow()
  return (
    <Listing
      title="Agents" found={found} items={found.data?.items ?? []} keyOf={({ id }) => id}
      empty={<Empty title="No agent is enrolled.">An agent stands beside its targets and dials out: <Code>sallyport agents token NAME</Code></Empty>}
      columns={[
        { title: 'Name', cell: ({ name, kind }) => <><Text fw={600} size="sm" span>{name}</Text> <Text size="sm" c="dimmed" span>{kind}</Text></> },
        { title: 'State', cell: (node) => { const [word, color] = stateOf(node); return <Badge variant="light" color={color}>{word}</Badge> } },
        { title: 'Last seen', cell: ({ last_seen_at: at }) => (at === null ? 'never' : <span title={fullTime(at)}>{relative(at, now)}</span>) },
        { title: 'Version', cell: ({ version }) => version ?? '' },
        { title: 'Labels', cell: ({ labels }) => <Labels labels={labels} /> },
        { title: 'On gateways', cell: ({ gateways }) => (gateways ?? []).map(({ gateway, draining }) => gateway + (draining ? ' (leaving)' : '')).join(', ') },
        { title: 'Lock', cell: ({ kind, name }) => (kind === 'agent' ? <LockState kind="agent" name={name} locks={locks} me={me} /> : undefined) },
      ]}
    />
  )
}
