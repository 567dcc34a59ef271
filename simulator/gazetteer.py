"""The simulated district's tables: what stands where, what it is fitted with, who patrols it.

A made-up part of Xuzhou: real kinds of places, invented units. Nothing here depends on the seed; the seed
moves people, faults and cars, never what is registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from simulator.roads import Point


@dataclass(frozen=True, slots=True)
class Site:
    """A protected place, beside a road."""

    id: str
    name: str
    name_en: str
    site_class: str
    place: str
    road: str
    share: float
    """How far along the road, 0 to 1."""
    side_m: float = 18.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint (卡口) or inspection-report station (查报站)."""

    id: str
    name: str
    name_en: str
    level: str
    tier: int
    site: str


@dataclass(frozen=True, slots=True)
class Car:
    """A patrol car and its terminal."""

    id: str
    name: str
    name_en: str
    place: str
    protocol: str
    address: str
    edition: int
    """Of JT/T 808: 2013 or 2019; 0 for OwnTracks."""
    beat: Point
    radius_m: float


PLACES = (
    ("xz", "徐州市", "Xuzhou City", "city", ""),
    ("xz-yunlong", "云龙区", "Yunlong District", "district", "xz"),
    ("xz-gulou", "鼓楼区", "Gulou District", "district", "xz"),
    ("xz-quanshan", "泉山区", "Quanshan District", "district", "xz"),
    ("xz-tongshan", "铜山县", "Tongshan County", "county", "xz"),
)

SITES = (
    Site("s-01", "云龙集贸市场", "Yunlong Market", "market", "xz-yunlong", "建国东路", 0.53, -20),
    Site(
        "s-02",
        "彭城储蓄银行中山支行",
        "Pengcheng Savings Bank, Zhongshan Branch",
        "municipal_key",
        "xz-gulou",
        "中山北路",
        0.22,
    ),
    Site(
        "s-03", "复兴北路金店", "Fuxing North Road Gold Shop", "municipal_key", "xz-gulou", "复兴北路", 0.12
    ),
    Site(
        "s-04",
        "农村信用社解放南路分社",
        "Rural Credit Union, Jiefang South Road",
        "county_key",
        "xz-yunlong",
        "解放南路",
        0.62,
    ),
    Site("s-05", "第三中学", "No. 3 Middle School", "campus", "xz-gulou", "夹河街", 0.2, -24),
    Site("s-06", "民主路小学", "Minzhu Road Primary School", "campus", "xz-yunlong", "民主南路", 0.7),
    Site("s-07", "奎山幼儿园", "Kuishan Kindergarten", "campus", "xz-yunlong", "解放南路", 0.38, -18),
    Site("s-08", "苏堤路小学", "Sudi Road Primary School", "campus", "xz-quanshan", "苏堤北路", 0.15),
    Site(
        "s-09", "市第二人民医院", "No. 2 People's Hospital", "municipal_key", "xz-gulou", "煤建路", 0.2, -24
    ),
    Site("s-10", "铜山路变电站", "Tongshan Road Substation", "municipal_key", "xz-yunlong", "铜山路", 0.72),
    Site("s-11", "泉山粮库", "Quanshan Grain Depot", "municipal_key", "xz-quanshan", "湖北路", 0.3, -22),
    Site("s-12", "民祥园小区", "Minxiangyuan Compound", "compound", "xz-yunlong", "民祥园路", 0.55),
    Site("s-13", "湖滨花园", "Lakeside Gardens", "compound", "xz-quanshan", "湖滨路", 0.4, 22),
    Site("s-14", "夹河新村", "Jiahe New Village", "compound", "xz-quanshan", "夹河西街", 0.45),
    Site("s-15", "下淀小区", "Xiadian Compound", "compound", "xz-gulou", "下淀路", 0.5),
    Site(
        "s-16",
        "淮海路商业街",
        "Huaihai Road Shopping Street",
        "main_street",
        "xz-gulou",
        "淮海东路",
        0.1,
        -15,
    ),
    Site(
        "s-17",
        "彭城路步行街",
        "Pengcheng Road Pedestrian Street",
        "main_street",
        "xz-gulou",
        "彭城路",
        0.3,
        14,
    ),
    Site("s-18", "七里沟农贸市场", "Qiligou Produce Market", "market", "xz-yunlong", "郭庄路", 0.55),
    Site("s-19", "坝子街菜市场", "Bazi Street Food Market", "market", "xz-gulou", "坝子街", 0.4, -16),
    Site("s-20", "城东客运站", "East Coach Station", "complex", "xz-yunlong", "和平路", 0.78, -24),
    Site("s-21", "市博物馆", "City Museum", "municipal_key", "xz-yunlong", "和平路", 0.16, 22),
    Site("s-22", "第一水厂", "No. 1 Waterworks", "municipal_key", "xz-quanshan", "王陵路", 0.35, 20),
    Site("s-23", "烟草配送中心", "Tobacco Distribution Centre", "county_key", "xz-gulou", "荆山路", 0.6),
    Site(
        "s-24",
        "铜山物资公司",
        "Tongshan Materials Company",
        "county_key",
        "xz-tongshan",
        "昆仑大道",
        0.35,
        -20,
    ),
    Site(
        "s-25",
        "三环南路加油站",
        "Third Ring South Filling Station",
        "internal_unit",
        "xz-tongshan",
        "三环南路",
        0.6,
    ),
    Site("s-26", "市图书馆", "City Library", "internal_unit", "xz-quanshan", "西安南路", 0.8),
    Site("s-27", "电信枢纽机房", "Telecom Exchange", "municipal_key", "xz-quanshan", "淮海西路", 0.6, 17),
    Site("s-28", "市档案馆", "City Archives", "municipal_key", "xz-yunlong", "青年路", 0.5),
    Site(
        "s-31", "三环北路卡口", "Third Ring North Checkpoint", "checkpoint", "xz-gulou", "三环北路", 0.55, -12
    ),
    Site("s-32", "大龙湖卡口", "Dalong Lake Checkpoint", "checkpoint", "xz-tongshan", "昆仑大道", 0.9, 12),
    Site(
        "s-33",
        "京台高速出口查报站",
        "Jingtai Expressway Exit Station",
        "main_exit",
        "xz-yunlong",
        "淮海东路",
        0.96,
        -12,
    ),
    Site(
        "s-34",
        "徐丰公路省际卡口",
        "Xufeng Highway Provincial Checkpoint",
        "checkpoint",
        "xz-quanshan",
        "淮海西路",
        0.04,
        12,
    ),
)

CHECKPOINTS = (
    Checkpoint("k-01", "三环北路卡口", "Third Ring North Checkpoint", "city", 2, "s-31"),
    Checkpoint("k-02", "大龙湖卡口", "Dalong Lake Checkpoint", "county", 2, "s-32"),
    Checkpoint("k-03", "京台高速出口查报站", "Jingtai Expressway Exit Station", "main_exit", 1, "s-33"),
    Checkpoint("k-04", "徐丰公路省际卡口", "Xufeng Highway Provincial Checkpoint", "provincial", 1, "s-34"),
)


class ZoneKind(NamedTuple):
    name: str
    name_en: str
    device_class: str
    condition: str = "intrusion"


HOLD_UP = ZoneKind("紧急按钮", "Hold-up button", "safety", "hold_up")
ZONE_SETS: Mapping[str, tuple[ZoneKind, ...]] = {
    "market": (
        ZoneKind("东门", "East gate", "door"),
        ZoneKind("西门", "West gate", "door"),
        ZoneKind("3号门", "Gate 3", "door"),
        ZoneKind("水产区", "Seafood hall", "motion"),
        ZoneKind("财务室", "Cashier's office", "motion"),
        ZoneKind("后窗", "Rear window", "window"),
        HOLD_UP,
    ),
    "counter": (
        ZoneKind("正门", "Front door", "door"),
        ZoneKind("营业厅", "Hall", "motion"),
        ZoneKind("柜台", "Counter", "vibration"),
        ZoneKind("后门", "Back door", "door"),
        HOLD_UP,
    ),
    "vault": (
        ZoneKind("金库门", "Vault door", "door"),
        ZoneKind("金库震动", "Vault vibration", "vibration"),
        ZoneKind("守库室", "Guard room", "motion"),
        HOLD_UP,
    ),
    "school": (
        ZoneKind("大门", "Main gate", "door"),
        ZoneKind("东围墙", "East wall", "motion"),
        ZoneKind("微机室", "Computer room", "motion"),
        ZoneKind("财务室", "Finance office", "door"),
        ZoneKind("门卫按钮", "Gatekeeper's button", "safety", "hold_up"),
    ),
    "plant": (
        ZoneKind("大门", "Main gate", "door"),
        ZoneKind("周界东", "Perimeter east", "motion"),
        ZoneKind("周界西", "Perimeter west", "motion"),
        ZoneKind("控制室", "Control room", "door"),
        ZoneKind("烟感", "Smoke detector", "smoke", "fire"),
    ),
    "store": (
        ZoneKind("卷帘门", "Roller door", "door"),
        ZoneKind("库区", "Storage area", "motion"),
        ZoneKind("天窗", "Skylight", "window"),
        ZoneKind("烟感", "Smoke detector", "smoke", "fire"),
    ),
    "gatehouse": (
        ZoneKind("北门", "North gate", "door"),
        ZoneKind("南门", "South gate", "door"),
        ZoneKind("地下车库", "Underground car park", "motion"),
        ZoneKind("门卫按钮", "Gatekeeper's button", "safety", "hold_up"),
    ),
}


class PanelKind(NamedTuple):
    site: str
    part: str
    part_en: str
    zones: str
    begins_armed: bool
    position: bool = True
    """Its part of the site is an important position (重要部位)."""


# Odd places speak Home Assistant's convention, even ones Paradox PAI's: 20 and 20.
PANELS = (
    PanelKind("s-01", "大厅", "Hall", "market", begins_armed=False, position=False),
    PanelKind("s-02", "营业厅", "Banking hall", "counter", begins_armed=False),
    PanelKind("s-03", "营业厅", "Showroom", "counter", begins_armed=False),
    PanelKind("s-04", "营业厅", "Banking hall", "counter", begins_armed=False),
    PanelKind("s-05", "教学楼", "Teaching block", "school", begins_armed=False, position=False),
    PanelKind("s-21", "展厅", "Exhibition hall", "counter", begins_armed=False),
    PanelKind("s-09", "药库", "Pharmacy store", "store", begins_armed=True),
    PanelKind("s-10", "高压室", "High-voltage room", "plant", begins_armed=True),
    PanelKind("s-11", "一号仓", "Granary 1", "store", begins_armed=True),
    PanelKind("s-11", "二号仓", "Granary 2", "store", begins_armed=True),
    PanelKind("s-06", "教学楼", "Teaching block", "school", begins_armed=False, position=False),
    PanelKind("s-07", "园区", "Grounds", "school", begins_armed=False, position=False),
    PanelKind("s-08", "教学楼", "Teaching block", "school", begins_armed=False, position=False),
    PanelKind("s-18", "大棚", "Market hall", "market", begins_armed=False, position=False),
    PanelKind("s-19", "大厅", "Hall", "market", begins_armed=False, position=False),
    PanelKind("s-20", "售票厅", "Ticket hall", "counter", begins_armed=False, position=False),
    PanelKind("s-22", "取水泵房", "Intake pumps", "plant", begins_armed=True),
    PanelKind("s-23", "卷烟库", "Cigarette store", "store", begins_armed=True),
    PanelKind("s-24", "物资库", "Materials store", "store", begins_armed=True),
    PanelKind("s-25", "油站", "Forecourt", "counter", begins_armed=False, position=False),
    PanelKind("s-12", "门卫室", "Gatehouse", "gatehouse", begins_armed=False, position=False),
    PanelKind("s-13", "门卫室", "Gatehouse", "gatehouse", begins_armed=False, position=False),
    PanelKind("s-14", "门卫室", "Gatehouse", "gatehouse", begins_armed=False, position=False),
    PanelKind("s-15", "门卫室", "Gatehouse", "gatehouse", begins_armed=False, position=False),
    PanelKind("s-16", "治安亭", "Police booth", "gatehouse", begins_armed=False, position=False),
    PanelKind("s-17", "管理处", "Management office", "counter", begins_armed=False, position=False),
    PanelKind("s-02", "金库", "Vault", "vault", begins_armed=True),
    PanelKind("s-04", "金库", "Vault", "vault", begins_armed=True),
    PanelKind("s-03", "库房", "Strong room", "vault", begins_armed=True),
    PanelKind("s-21", "文物库", "Relics store", "store", begins_armed=True),
    PanelKind("s-09", "财务科", "Finance office", "counter", begins_armed=False),
    PanelKind("s-09", "放射源库", "Radioactive source store", "store", begins_armed=True),
    PanelKind("s-05", "实验楼", "Laboratory block", "school", begins_armed=True, position=False),
    PanelKind("s-10", "主控室", "Control room", "plant", begins_armed=True),
    PanelKind("s-22", "加氯间", "Chlorination room", "plant", begins_armed=True),
    PanelKind("s-26", "古籍室", "Rare books room", "store", begins_armed=True, position=False),
    PanelKind("s-27", "传输机房", "Transmission room", "plant", begins_armed=True),
    PanelKind("s-28", "库房", "Stacks", "store", begins_armed=True),
    PanelKind("s-01", "冷库", "Cold store", "store", begins_armed=True, position=False),
    PanelKind("s-27", "电池室", "Battery room", "plant", begins_armed=True),
)


class CameraKind(NamedTuple):
    site: str
    name: str
    name_en: str
    bearing_deg: float
    scene: str
    checkpoint: str = ""
    part: str = ""
    """The important position it watches, by its part of the site."""


# The story's two come first, so that a small run still has them.
CAMERAS = (
    CameraKind("s-01", "云龙集贸市场3号门", "Yunlong Market, Gate 3", 20, "market"),
    CameraKind("s-01", "云龙集贸市场东侧路", "Yunlong Market, east lane", 100, "street"),
    CameraKind("s-31", "三环北路卡口1车道", "Third Ring North, lane 1", 270, "checkpoint", "k-01"),
    CameraKind("s-32", "大龙湖卡口1车道", "Dalong Lake, lane 1", 90, "checkpoint", "k-02"),
    CameraKind("s-33", "京台高速出口1车道", "Jingtai Exit, lane 1", 255, "checkpoint", "k-03"),
    CameraKind("s-34", "徐丰公路卡口1车道", "Xufeng Highway, lane 1", 80, "checkpoint", "k-04"),
    CameraKind("s-02", "中山支行门前", "Zhongshan Branch, front", 85, "street", part="营业厅"),
    CameraKind("s-03", "金店门前", "Gold shop, front", 265, "street", part="营业厅"),
    CameraKind("s-05", "第三中学校门", "No. 3 Middle School gate", 190, "street"),
    CameraKind("s-09", "二院急诊通道", "No. 2 Hospital, emergency access", 150, "street", part="药库"),
    CameraKind("s-16", "淮海路商业街东口", "Huaihai Road, east end", 275, "street"),
    CameraKind("s-20", "城东客运站站前", "East Coach Station, forecourt", 10, "street"),
)

CARS = (
    Car(
        "u-0121",
        "苏C-0121",
        "Su C-0121",
        "xz-yunlong",
        "owntracks",
        "xz110/car0121",
        0,
        Point(1180, -820),
        480,
    ),
    Car(
        "u-0133", "苏C-0133", "Su C-0133", "xz-yunlong", "jt808", "13905160133", 2013, Point(2250, -150), 480
    ),
    Car(
        "u-0107", "苏C-0107", "Su C-0107", "xz-gulou", "owntracks", "xz110/car0107", 0, Point(-100, 1900), 900
    ),
    Car("u-0142", "苏C-0142", "Su C-0142", "xz-gulou", "jt808", "13905160142", 2019, Point(2900, 1900), 1100),
    Car(
        "u-0126",
        "苏C-0126",
        "Su C-0126",
        "xz-yunlong",
        "owntracks",
        "xz110/car0126",
        0,
        Point(1700, -2500),
        1000,
    ),
    Car(
        "u-0118",
        "苏C-0118",
        "Su C-0118",
        "xz-quanshan",
        "jt808",
        "13905160118",
        2013,
        Point(-1700, -600),
        1100,
    ),
    Car(
        "u-0155",
        "苏C-0155",
        "Su C-0155",
        "xz-quanshan",
        "owntracks",
        "xz110/car0155",
        0,
        Point(-2600, 1700),
        1100,
    ),
    Car(
        "u-0163",
        "苏C-0163",
        "Su C-0163",
        "xz-tongshan",
        "jt808",
        "13905160163",
        2019,
        Point(300, -3500),
        1300,
    ),
)
