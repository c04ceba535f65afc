import { Badge, Code, Group, Text } from '@mantine/core'
import { ok } from '@sallyport/api-client'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { api, type WhoAmI } from '../api.js'
import { LockState, useLocks } from '../locks/lock.js'
import { Listing } from '../shell/listing.js'
import { Empty } from '../shell/message.js'

const clients: Readonly<Record<string, string>> = { postgres: 'psql', ssh: 'ssh', kubernetes: 'kubectl get pods' }

/** What one can reach. Addresses and credentials are the agents' own. */
export function TargetsRoom({ me }: { readonly me: WhoAmI }): ReactNode {
  const found = useQuery({ queryKey: ['targets'], queryFn: () => ok(api.GET('/v1/targets', { params: { query: { limit: 500 } } })) })
  const locks = useLocks(me)
  return (
    <Listing
      title="Targets" found={found} items={found.data?.items ?? []} keyOf={({ name }) => name}
      empty={<Empty title="No target yet.">A Target document names a database, a host or a cluster, and the agent beside it: <Code>sallyport apply -f target.yaml</Code></Empty>}
      columns={[
        { title: 'Target', cell: ({ name }) => <Text fw={600} size="sm">{name}</Text> },
        { title: 'Protocol', cell: ({ protocol }) => protocol },
        { title: 'Labels', cell: ({ labels }) => <Labels labels={labels} /> },
        { title: 'To reach it', cell: ({ name, protocol }) => <Code>{`sallyport exec ${name} -- ${clients[protocol] ?? '…'}${protocol === 'ssh' ? ` ${name}` : ''}`}</Code> },
        { title: 'Lock', cell: ({ name }) => <LockState kind="target" name={name} locks={locks} me={me} /> },
      ]}
    />
  )
}

export function Labels({ labels }: { readonly labels: Readonly<Record<string, string>> }): ReactNode {
  return <Group gap={4}>{Object.entries(labels).map(([name, value]) => <Badge key={name} variant="default" tt="none" fw={500}>{name}={value}</Badge>)}</Group>
}
