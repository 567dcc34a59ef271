"""After a restoring: consoles are told a gap, senders don't hang, and the past is still answerable."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.domain.entry import EntryKind
from hub.store import log as stored_log
from hub.store.engine import Store
from jifang.steps import Silent
from jifang.verify import verify_store
from tests.keeping.conftest import Keep, drafts, jpeg
from tests.keeping.test_archive import backed_up, put_back


@pytest.fixture
def restored(keep: Keep, tmp_path: Path) -> Store:
    """A store restored from a backup that is older than what consoles have seen; it has grown past them."""
    keep.motion(jpeg(1))
    backed_up(keep, tmp_path / "a.jifang")
    keep.do(lambda tx: [tx.append(one) for one in drafts(20)])
    put_back(tmp_path / "a.jifang", f"sqlite:///{tmp_path}/r.db", tmp_path / "r")
    opened = Store.open(f"sqlite:///{tmp_path}/r.db", clock=keep.clock)
    opened.enqueue(lambda tx: [tx.append(one) for one in drafts(50)]).result(10)
    return opened


def test_a_restored_log_is_another_log(keep: Keep, restored: Store, tmp_path: Path) -> None:
    before = keep.store.query(stored_log.identity)
    after = restored.query(stored_log.identity)
    assert before != after
    assert before == keep.store.query(lambda c: stored_log.numbered(c, [1]))[0].hash[:16]
    assert restored.head > keep.store.head, "a cursor of the lost future is a number that exists here"
    restored.close()
    assert verify_store(f"sqlite:///{tmp_path}/r.db", tmp_path / "r", Silent()).ok


def test_two_restorings_of_one_archive_are_two_logs(keep: Keep, restored: Store, tmp_path: Path) -> None:
    keep.clock.forward(60)
    once = restored.query(stored_log.identity)
    restored.close()
    backed_up(keep, tmp_path / "b.jifang")
    put_back(tmp_path / "b.jifang", f"sqlite:///{tmp_path}/s.db", tmp_path / "s")
    again = Store.open(f"sqlite:///{tmp_path}/s.db", clock=keep.clock)
    assert again.query(stored_log.identity) not in (once, keep.store.query(stored_log.identity))
    again.close()


def test_the_identity_outlives_retention(keep: Keep) -> None:
    before = keep.store.query(stored_log.identity)
    keep.motion()
    keep.days(4000)
    keep.motion()
    keep.keeper().run()
    assert keep.store.query(stored_log.identity) == before
    assert 1 in keep.seqs()
    assert set(keep.seqs(EntryKind.KEEPING)), "what was done to the log stays with it"
