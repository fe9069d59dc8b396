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
    encoding,
    error,
    hg,
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


def before_pushkey(ui, repo, hooktype, **arguments):
    if _access != 'write':
        raise error.Abort(b'you may read this repository but not push to it')


def before_transaction(ui, repo, hooktype, **arguments):
    if _access != 'write':
        raise error.Abort(b'you may read this repository but not push to it')
    repo.unfiltered()._madake_before = _refs(repo)


def before_commit(ui, repo, hooktype, **arguments):
    unfiltered = repo.unfiltered()
    moves = _moves(unfiltered._madake_before, _refs(repo))
    unfiltered._madake_moves = moves
    if moves or 'node' in arguments:
        try:
            answer = _ask('permit', moves, arguments)
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


def _ask(question, moves, arguments):
    message = {'question': question, 'moves': moves}
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
