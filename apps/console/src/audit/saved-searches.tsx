import { ActionIcon, Badge, Button, Checkbox, Group, Popover, Stack, TextInput } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { ok } from '@sallyport/api-client'
import { IconX } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { Link } from 'wouter'
import { api } from '../api.js'
import { fieldsOf, textOf } from '../format.js'
import { Failure } from '../shell/message.js'
import type { Asked } from './audit-room.js'

/** Searches that were given a name: one's own, and those that others share. */
export function SavedSearches({ asked }: { readonly asked: Asked }): ReactNode {
  const queries = useQueryClient()
  const found = useQuery({ queryKey: ['searches'], queryFn: () => ok(api.GET('/v1/audit/searches', { params: { query: { limit: 200 } } })) })
  const remove = useMutation({
    mutationFn: (name: string) => ok(api.DELETE('/v1/audit/searches/{name}', { params: { path: { name } } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['searches'] }),
  })
  return (
    <Group gap="xs">
      {(found.data?.items ?? []).map(({ name, owner, mine, query }) => (
        <Badge
          key={`${owner}/${name}`} variant="default" tt="none" size="lg" fw={500}
          rightSection={mine ? <ActionIcon size="xs" variant="transparent" color="gray" aria-label={`Delete the search ${name}`} onClick={() => remove.mutate(name)}><IconX size={12} /></ActionIcon> : undefined}
        >
          <Link href={`/audit?${new URLSearchParams(Object.entries(fieldsOf(query)).flatMap(([key, value]) => (textOf(value) === '' ? [] : [[key, textOf(value)]]))).toString()}`}>{mine ? name : `${name} (${owner})`}</Link>
        </Badge>
      ))}
      {Object.keys(asked).length > 0 ? <Save asked={asked} /> : undefined}
      {remove.error ? <Failure error={remove.error} /> : undefined}
    </Group>
  )
}

function Save({ asked }: { readonly asked: Asked }): ReactNode {
  const [isOpen, { toggle, close }] = useDisclosure(false)
  const [name, setName] = useState('')
  const [shared, setShared] = useState(false)
  const queries = useQueryClient()
  const save = useMutation({
    mutationFn: () => ok(api.PUT('/v1/audit/searches/{name}', { params: { path: { name: name.trim() } }, body: { shared, query: asked } })),
    onSuccess: async () => {
      close()
      setName('')
      await queries.invalidateQueries({ queryKey: ['searches'] })
    },
  })
  return (
    <Popover opened={isOpen} onChange={(open) => { if (!open) close() }} position="bottom-start" trapFocus>
      <Popover.Target><Button size="compact-sm" variant="default" onClick={toggle}>Save this search</Button></Popover.Target>
      <Popover.Dropdown>
        <Stack gap="sm">
          <TextInput label="Name" data-autofocus value={name} onChange={({ currentTarget }) => setName(currentTarget.value)} />
          <Checkbox label="For others as well" checked={shared} onChange={({ currentTarget }) => setShared(currentTarget.checked)} />
          {save.error ? <Failure error={save.error} /> : undefined}
          <Button disabled={name.trim() === ''} loading={save.isPending} onClick={() => save.mutate()}>Save</Button>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  )
}
