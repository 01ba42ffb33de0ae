"""Sentences that a person reads aloud as other speech, in which the keyword is not said.

Called by :mod:`kws.workflows.record` and the studio. They were written for this purpose: everyday words, most
sounds of the language, and five to eight seconds each.
"""

from __future__ import annotations

from kws.text import mentions

ENGLISH = (
    "Could you bring two bags of rice and a bottle of water from the shop?",
    "The train to the north leaves at half past seven, but it is often late.",
    "My sister plays the guitar, and her youngest son wants to learn the drums.",
    "Please leave your wet shoes by the door and hang your coat over there.",
    "We had soup with fresh bread and cheese before the guests arrived.",
    "It may rain this evening, so take the umbrella that stands in the hall.",
    "He measured the kitchen table twice and then cut the board too short.",
    "Did anyone feed the cat, or is she waiting behind the yellow chair again?",
    "The doctor asked me to walk for an hour each day and to sleep more.",
    "Yesterday they found an old photograph of the village under the floor.",
    "Turn left after the bridge, and the museum is opposite the post office.",
    "She thinks that the blue one is cheaper, although both look just the same.",
    "How long does it take until the paint on the window is really dry?",
    "Our neighbor grows tomatoes, beans and flowers on a very small balcony.",
    "I would rather read a good story than watch the news at night.",
    "The children laughed so loudly that nobody could hear the music.",
)
CHINESE = (
    "请帮我去商店买两袋米和一瓶水，回来的时候再带一份报纸。",
    "开往北方的火车七点半出发，不过它经常会晚点。",
    "我姐姐会弹吉他，她的小儿子想学打鼓。",
    "请把湿鞋子放在门口，把大衣挂在那边的架子上。",
    "客人到来之前，我们喝了热汤，还吃了新鲜的面包。",
    "今天晚上可能会下雨，出门时记得带上走廊里的雨伞。",
    "他把厨房的桌子量了两遍，结果木板还是锯短了。",
    "有人喂过猫了吗？它是不是又躲在黄色的椅子后面？",
    "医生让我每天散步一个小时，晚上早一点睡觉。",
    "昨天他们在地板下面发现了一张村子的老照片。",
    "过了桥以后向左转，博物馆就在邮局的对面。",
    "她觉得蓝色的那个更便宜，虽然两个看起来一样。",
    "窗户上的油漆要等多久才能真正干透呢？",
    "我们的邻居在小小的阳台上种了西红柿和花。",
)
SENTENCES = {"en": ENGLISH, "cmn": CHINESE, "zh": CHINESE}
"""First part of an eSpeak language code -> sentences."""
FREE = "Say what you did today, or read any text aloud, without the keyword."
"""What is shown in other languages."""
LETTERS_PER_S, WIDE_PER_S = 13.0, 3.6
"""Letters, and characters of Chinese, that a slow reader says in a second."""
MARGIN_S = 1.5
"""Time to begin and to end, in seconds."""


def sentences(keyword: str, language: str = "en") -> list[str]:
    """Return what to read: sentences that do not say the keyword, or one line of advice.

    Args:
        keyword: that must not be said.
        language: eSpeak language code.
    """
    known = SENTENCES.get(language.lower().split("-")[0], (FREE,))
    return [text for text in known if not mentions(keyword, text)] or [FREE]


def reading_s(text: str) -> float:
    """Return how long a text takes to read, in seconds; ten for :data:`FREE`."""
    if text == FREE:
        return 10.0
    wide = sum(letter >= "\u2e80" for letter in text)
    return MARGIN_S + (len(text) - wide) / LETTERS_PER_S + wide / WIDE_PER_S
