"""What the Madake server adds to Mercurial; it is loaded by a configuration of the server alone.

Serving: a transaction is refused unless the server allows what it moves, and a client hears of success only after
the server has stored what moved. Both are asked over a local socket. The HTTP protocol is answered by a process that
is kept and takes one request at a time over its standard streams.

Everywhere: subrepositories are not followed, redirects are not followed, credentials come from the environment.
"""

import json
import os
import socket
import struct
import sys
from urllib.request import HTTPRedirectHandler

from mercurial import (
    copies,
    encoding,
    error,
    hg,
    mdiff,
    pycompat,
    registrar,
    subrepoutil,
    url as urlmod,
    util,
)
from mercurial.hgweb import hgweb_mod

cmdtable = {}
command = registrar.command(cmdtable)
minimumhgversion = b'6.1'
testedwith = b'6.3 7.2'

# The variables are taken out, so that programs which hg starts do not inherit them.
_access = os.environ.pop('MADAKE_HG_ACCESS', None)
_username = os.environb.pop(b'MADAKE_HG_USERNAME', None)
_password = os.environb.pop(b'MADAKE_HG_PASSWORD', None)
_origin = os.environb.pop(b'MADAKE_HG_ORIGIN', None)
_copies = os.environ.pop('MADAKE_HG_COPIES', None)
_socket_path = os.environ.pop('MADAKE_HG_SOCKET', None)
for _name in list(encoding.environ):
    if _name.startswith(b'MADAKE_HG_'):
        encoding.environ.pop(_name, None)

# Set when the server could not store a push: the client of a kept process is answered by the server then.
_unstored = False
_kept_process = False


def uisetup(ui):
    # A repository names other repositories and commands in .hgsub; none of them is touched.
    subrepoutil.state = lambda ctx, ui: {}
    urlmod.handlerfuncs.append(lambda ui, passmgr: NoRedirect())
    if _copies:
        util.oslink = _no_link


def reposetup(ui, repo):
    if not repo.local():
        return
    _set_credential(repo.ui)
    if _access is None:
        return
    # Until here the configuration refuses every transaction, should this file not be loaded.
    hooks = {
        b'prepushkey.madake': before_pushkey,
        b'pretxnopen.madake': before_transaction,
        b'pretxnclose.madake': before_commit,
        b'txnclose.madake': after_commit,
    }
    for name, function in hooks.items():
        repo.ui.setconfig(b'hooks', name, function, b'madake')


class NoRedirect(HTTPRedirectHandler):
    """The address was checked; where it redirects to was not."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        return None


def _no_link(source, target):
    # A file shared with the hosted repository could be changed through the copy.
    raise OSError('hard links are off')


def _set_credential(ui):
    if _origin is None:
        return
    values = {
        b'prefix': _origin + b'/',
        b'username': _username or b'',
        b'password': _password or b'',
    }
    for name, value in values.items():
        ui.setconfig(b'auth', b'madake.' + name, value, b'madake')


# What a push moves


def _refs(repo):
    repo = repo.filtered(b'served')
    refs = {}
    for name in list(repo.branchmap()):
        # A branch whose tip closes it has no open head.
        tip = repo.branchtip(name)
        if not repo[tip].closesbranch():
            refs['branch', name] = tip
    for name, node in repo._bookmarks.items():
        refs['bookmark', name] = node
    # Mercurial keeps the tags that it has read, and inside a transaction they have changed since.
    vars(repo).pop('_tagscache', None)
    for name, node in repo.tags().items():
        if name != b'tip' and repo.tagtype(name) == b'global':
            refs['tag', name] = node
    return refs


def _moves(before, after):
    moves = []
    for key in sorted(set(before) | set(after)):
        old, new = before.get(key), after.get(key)
        if old != new:
            kind, name = key
            # Names of branches are kept in UTF-8 inside, whatever the local encoding.
            text = encoding.fromlocal(name)
            moves.append([kind, text.hex(), old.hex() if old else None, new.hex() if new else None])
    return moves


def _labels(repo):
    """of each branch its open heads and all its heads; bookmarks have one"""
    repo = repo.filtered(b'served')
    labels, branches = {}, repo.branchmap()
    for name in list(branches):
        heads = [branches.branchheads(name, closed=closed) for closed in (False, True)]
        labels['branch', name] = tuple(frozenset(some) for some in heads)
    for name, node in repo._bookmarks.items():
        labels['bookmark', name] = (frozenset([node]),) * 2
    return labels


def _changes(repo, before, after):
    """what happens to branches and bookmarks: whether they are made, removed, or go on from where they were"""
    nothing, is_ancestor, changes = (frozenset(),) * 2, repo.changelog.isancestor, []
    for key in sorted(set(before) | set(after)):
        old, new = before.get(key, nothing), after.get(key, nothing)
        if old == new:
            continue
        # What counts are open heads: a branch without any is closed.
        was, now = old[0], new[0]
        if not was:
            what = 'made'
        elif not now:
            what = 'removed'
        elif len(now) <= len(was) and all(any(is_ancestor(a, b) for a in was) for b in now - was):
            what = 'forward'
        else:
            what = 'rewritten'
        kind, name = key
        changes.append([kind, encoding.fromlocal(name).hex(), what])
    return changes


def _deny():
    # The client hears of the refusal in any case.
    try:
        if _socket_path:
            _ask('denied', [], {})
    except OSError:
        pass
    raise error.Abort(b'you may read this repository but not push to it')


def before_pushkey(ui, repo, hooktype, **arguments):
    if _access != 'write':
        _deny()


def before_transaction(ui, repo, hooktype, **arguments):
    if _access != 'write':
        _deny()
    unfiltered = repo.unfiltered()
    unfiltered._madake_before = _refs(repo)
    unfiltered._madake_labels = _labels(repo)


def before_commit(ui, repo, hooktype, **arguments):
    unfiltered = repo.unfiltered()
    moves = _moves(unfiltered._madake_before, _refs(repo))
    unfiltered._madake_moves = moves
    if moves or 'node' in arguments:
        changes = _changes(unfiltered, unfiltered._madake_labels, _labels(repo))
        try:
            answer = _ask('permit', moves, arguments, changes)
        except OSError:
            raise error.Abort(b'the server went away before it could allow the push')
        if not answer.get('ok'):
            raise error.Abort(_sentence(answer))


def after_commit(ui, repo, hooktype, **arguments):
    global _unstored
    moves = repo.unfiltered()._madake_moves
    if not moves and 'node' not in arguments:
        return
    try:
        _sync(repo)
        answer = _ask('record', moves, arguments)
    except Exception as problem:
        answer = {'error': 'the push could not be stored: %s' % problem}
    if answer.get('ok'):
        for line in answer.get('lines', ()):
            ui.status(line.encode('utf-8', 'replace') + b'\n')
        return
    _unstored = True
    if not _kept_process:
        # The transaction is over, so nothing less than silence keeps the client from seeing success.
        os.write(2, _sentence(answer) + b'\n')
        os._exit(255)


def _sentence(answer):
    return str(answer.get('error', 'the server gave no reason')).encode('utf-8', 'replace')


def _ask(question, moves, arguments, changes=()):
    message = {'question': question, 'moves': moves, 'changes': changes}
    for key in ('node', 'node_last'):
        value = arguments.get(key)
        message[key] = pycompat.sysstr(value) if value else None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(600)
        connection.connect(_socket_path)
        connection.sendall(json.dumps(message).encode('ascii') + b'\n')
        with connection.makefile('rb') as answers:
            line = answers.readline()
    return json.loads(line) if line else {'error': 'the server did not answer'}


def _sync(repo):
    """Mercurial leaves flushing to the system; what is acknowledged must be on the disk."""
    written = [b'00changelog.i', b'00changelog.d', b'00manifest.i', b'00manifest.d', b'phaseroots', b'fncache']
    undo = repo.svfs.tryread(b'undo').splitlines()
    if len(undo) > 64:
        os.sync()
        return
    written.extend(line.split(b'\0')[0] for line in undo)
    paths = {repo.svfs.join(name) for name in written}
    paths.add(repo.vfs.join(b'bookmarks'))
    paths.add(repo.svfs.join(b''))
    for path in paths:
        try:
            opened = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


# HTTP


def _read_frame(stream):
    head = stream.read(5)
    if len(head) < 5:
        return b'', b''
    kind, length = struct.unpack('>cI', head)
    return kind, stream.read(length)


def _write_frame(stream, kind, payload=b''):
    stream.write(struct.pack('>cI', kind, len(payload)))
    stream.write(payload)
    stream.flush()


class Body:
    """The body of a request, as frames."""

    def __init__(self, stream):
        self._stream = stream
        self._left = b''
        self._ended = False

    def read(self, size=-1):
        parts = []
        while size != 0:
            if not self._left and not self._fill():
                break
            part = self._left if size < 0 else self._left[:size]
            self._left = self._left[len(part) :]
            parts.append(part)
            if size > 0:
                size -= len(part)
        return b''.join(parts)

    def _fill(self):
        if self._ended:
            return False
        kind, payload = _read_frame(self._stream)
        if kind == b'B':
            self._left = payload
            return True
        if kind != b'E':
            raise IOError('the client went away')
        self._ended = True
        return False

    def drain(self):
        self._left = b''
        while self._fill():
            self._left = b''


@command(b'madake-http', [], b'REPOSITORY', norepo=True)
def http(ui, path):
    """answer HTTP requests that come as frames"""
    global _socket_path, _kept_process, _unstored
    _kept_process = True
    fin, fout = ui.protectfinout()
    if _access == 'write':
        ui.setconfig(b'web', b'allow-push', b'*', b'madake')
    application = hgweb_mod.hgweb(path, baseui=ui)
    while True:
        kind, payload = _read_frame(fin)
        if kind != b'R':
            return 0
        request = json.loads(payload)
        _socket_path = request.pop('socket', None)
        _unstored = False
        body = Body(fin)
        environment = {
            'wsgi.version': (1, 0),
            'wsgi.input': body,
            'wsgi.errors': sys.stderr,
            'wsgi.multithread': False,
            'wsgi.multiprocess': True,
            'wsgi.run_once': False,
        }
        environment.update(request)

        def start(status, headers, exc_info=None):
            head = {'status': int(status[:3]), 'headers': headers}
            _write_frame(fout, b'H', json.dumps(head).encode('ascii'))
            return lambda data: _write_frame(fout, b'B', data)

        for chunk in application(environment, start):
            if chunk:
                _write_frame(fout, b'B', chunk)
        body.drain()
        _write_frame(fout, b'U' if _unstored else b'E')


# Looking at other servers


@command(b'madake-look', [], b'ADDRESS', norepo=True)
def look(ui, address):
    """print the heads of the branches, and the bookmarks, of another repository"""
    _set_credential(ui)
    peer = hg.peer(ui, {}, address)
    try:
        if not peer.capable(b'branchmap'):
            # An empty page is not an empty repository.
            raise error.Abort(b'the other side does not answer as a Mercurial server')
        with peer.commandexecutor() as executor:
            branches = executor.callcommand(b'branchmap', {}).result()
        with peer.commandexecutor() as executor:
            bookmarks = executor.callcommand(b'listkeys', {b'namespace': b'bookmarks'}).result()
        for name in sorted(branches):
            local = hasattr(branches, 'branchheads')
            nodes = branches.branchheads(name, closed=True) if local else branches[name]
            heads = b' '.join(pycompat.bytestr(node.hex()) for node in nodes)
            ui.write(b'branch %s %s\n' % (_hex(name), heads))
        for name, node in sorted(bookmarks.items()):
            ui.write(b'bookmark %s %s\n' % (_hex(name), pycompat.bytestr(node)))
    finally:
        peer.close()


def _hex(name):
    return pycompat.bytestr(encoding.fromlocal(name).hex())


# Looking into a repository. Paths come and go in base 16, so that no character of theirs means anything.

# Larger files are told to differ, and no more, in bytes.
_LARGEST = 4 * 1024 * 1024
# More files are not told of in one patch.
_MOST_FILES = 10000
_MODES = {b'': b'100644', b'x': b'100755', b'l': b'120000'}
_NOTHING = b'0' * 40


def _plain(digits):
    return bytes.fromhex(pycompat.sysstr(digits))


def _revision(repo, digits):
    # This one stands for the files of the work tree, which are nobody's commit.
    if digits == b'f' * 40:
        raise error.Abort(b'there is no such commit')
    return repo[_plain(digits)]


@command(b'madake-folder', [], b'REVISION PATH')
def folder(ui, repo, revision, path):
    """list what is in a folder of a revision, or tell of the file at the path"""
    context, path = _revision(repo, revision), _plain(path)
    manifest = context.manifest()
    if path and path in manifest:
        told = (_MODES[manifest.flags(path)], _digits(manifest[path]), context[path].size())
        ui.write(b'file %s %s %d\n' % told)
        return
    prefix = path + b'/' if path else b''
    last = None
    for name in manifest:
        head = name[: len(prefix)]
        if head > prefix:
            break
        if head < prefix:
            continue
        inside, slash, _ = name[len(prefix) :].partition(b'/')
        if slash and inside != last:
            ui.write(b'040000 %s %s\n' % (_NOTHING, _digits(inside)))
        elif not slash:
            told = (_MODES[manifest.flags(name)], _digits(manifest[name]), _digits(inside))
            ui.write(b'%s %s %s\n' % told)
        last = inside


@command(b'madake-below', [], b'REVISION PATH')
def below(ui, repo, revision, path):
    """list the files below a folder of a revision"""
    context, path = _revision(repo, revision), _plain(path)
    prefix = path + b'/' if path else b''
    for name in context.manifest():
        if name.startswith(prefix):
            ui.write(b'%s\n' % _digits(name[len(prefix) :]))


def _digits(raw):
    return pycompat.bytestr(raw.hex())


@command(b'madake-sizes', [], b'REVISION PATH...')
def sizes(ui, repo, revision, *paths):
    """tell how many bytes files of a revision have"""
    context = _revision(repo, revision)
    for path in paths:
        ui.write(b'%d\n' % context[_plain(path)].size())


@command(b'madake-history', [], b'UNTIL SINCE MERGES FOLLOW SKIP LIMIT PATH')
def history(ui, repo, until, since, merges, follow, skip, limit, path):
    """list commits of a history, the newest first"""
    path = _plain(path)
    # `id` takes no names.
    expression, values = b'reverse(::id(%s))', [until]
    if since:
        expression, values = b'reverse(only(id(%s), id(%s)))', [until, since]
    for digits in values:
        _revision(repo, digits)
    expression += {b'any': b'', b'none': b' and not merge()', b'only': b' and merge()'}[merges]
    if path and follow == b'renames':
        expression += b' and follow(%s, id(%s))'
        values.extend([b'path:' + path, until])
    elif path:
        expression += b' and file(%s)'
        values.append(b'path:' + path)
    skip, limit = int(skip), int(limit)
    for place, revision in enumerate(repo.revs(expression, *values)):
        if place >= skip + limit:
            break
        if place >= skip:
            ui.write(b'%s\n' % repo[revision].hex())


@command(b'madake-patch', [], b'OLD NEW LIMIT')
def patch(ui, repo, old, new, limit):
    """print what differs between two revisions, in the form of `git diff-tree -r -z --raw -p`"""
    one, other, limit = _revision(repo, old), _revision(repo, new), int(limit)
    changes = one.status(other)
    sources = copies.pathcopies(one, other)
    sources = {name: sources[name] for name in changes.added if sources.get(name) in one}
    removed, moved = set(changes.removed), {}
    for name in sorted(sources):
        if sources[name] in removed:
            moved.setdefault(sources[name], name)
    names = [name for name in changes.modified + changes.added + changes.removed if name not in moved]
    names.sort()
    is_cut = len(names) > _MOST_FILES
    records, files = [], []
    for name in names[:_MOST_FILES]:
        source = sources.get(name, name)
        before = one[source] if source in one else None
        after = other[name] if name in other else None
        modes = [_MODES[side.flags()] if side else b'000000' for side in (before, after)]
        is_other_kind = before and after and b'l' in before.flags() + after.flags()
        if before is None:
            letter = b'A'
        elif after is None:
            letter = b'D'
        elif name in sources:
            letter = b'R' if moved.get(source) == name else b'C'
            is_other_kind = False
        elif is_other_kind and before.flags() != after.flags():
            letter = b'T'
        else:
            letter, is_other_kind = b'M', False
        paths = [source, name] if name in sources else [name]
        head = b':%s %s %s %s %s' % (modes[0], modes[1], _NOTHING, _NOTHING, letter)
        records.append(b'\0'.join([head] + paths) + b'\0')
        # A file that became a link was removed and made.
        files.extend([(before, None), (None, after)] if is_other_kind else [(before, after)])
    parts = records + [b'\0']
    size = sum(len(part) for part in parts)
    for before, after in files:
        if size > limit:
            break
        for part in _differences(before, after):
            parts.append(part)
            size += len(part)
            if size > limit:
                break
    is_cut = is_cut or size > limit
    ui.write(b'cut\n' if is_cut else b'all\n')
    ui.write(b''.join(parts)[:limit])


def _differences(before, after):
    yield b'diff --git \n'
    sides = [side for side in (before, after) if side]
    if any(side.size() > _LARGEST or side.isbinary() for side in sides):
        if len(sides) < 2 or before.cmp(after):
            yield b'Binary files differ\n'
        return
    old, new = [side.data() if side else None for side in (before, after)]
    if old == new:
        return
    options = mdiff.diffopts(git=True, nodates=True, context=3)
    _, hunks = mdiff.unidiff(old, b'', new, b'', b'old', b'new', binary=False, opts=options)
    for _, lines in hunks:
        for line in lines:
            yield line
